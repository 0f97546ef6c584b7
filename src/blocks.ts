/** The options by which users block keys, checked, and brought into the shape that deciders take. */
import { type BlockLayer, blockLayer, withoutLockout } from './algorithms/block.ts'
import { checkText, itemsOf, named } from './arguments.ts'
import { type Duration, microseconds } from './duration.ts'
import type { BlockEnd } from './operations/block.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import type { Decider } from './stores/decider.ts'

/** The options of `blocks`: which refusals lock a key out, for how long, and what is remembered of them. */
export interface BlocksOptions {
  /**
   * How long a key is locked out after the quota has refused it: one length, or up to 16, the first for the first lock-out and so on; the last
   * one also for all later ones. A lock-out always lasts at least until the layers that refused have their whole quota again. Milliseconds or a text
   * such as `'10m'`, above 0, at most 10 years. Default: no refusal locks out, and only `throttle.block` blocks.
   */
  readonly lockout?: Duration | readonly Duration[] | undefined
  /**
   * How long a lock-out is remembered. One is forgotten when this time has passed since the end of the last block, the next after as long
   * again: with `'1d'`, three lock-outs are forgotten in three days. Milliseconds or a text such as `'12h'`, above 0, at most 10 years.
   * Default one day.
   */
  readonly forget?: Duration | undefined
  /** The name of the block: `[A-Za-z][A-Za-z0-9_.-]*`. Throttles with blocks of one name on one store block a key together. Default: the name of the throttle's first quota. */
  readonly name?: string | undefined
}

/** Options of `throttle.block`. */
export interface BlockOptions {
  /** Why the key is blocked, for the `onrush:block` event only. It is stored nowhere. Default: none. */
  readonly reason?: string | undefined
  /** Ends the wait for the store: the promise rejects with its reason. The key may then be blocked or not. Default: none. */
  readonly signal?: AbortSignal | undefined
}

const BLOCKS = optionNames<BlocksOptions>({ lockout: true, forget: true, name: true })
const NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/
const MOST_LENGTHS = 16
const DAY = 86_400_000_000
/** 10 years of 3,653 days, in µs, as the longest period of a quota. */
const LONGEST = 3653 * DAY

/**
 * The block of a throttle's keys. `undefined`: the throttle has no blocks.
 * @param firstQuota the name of the throttle's first quota
 * @throws TypeError or RangeError for wrong options
 */
export function blocksIn(blocks: unknown, firstQuota: string): BlockLayer | undefined {
  if (blocks === undefined || blocks === false) return undefined
  if (blocks === true) return blockLayer(firstQuota, [], DAY)
  if (typeof blocks !== 'object' || blocks === null) {
    throw new TypeError(`blocks must be true, false or an object of options, got ${named(blocks)}`)
  }
  checkOptionNames('blocks', blocks, BLOCKS)
  const { lockout, forget, name = firstQuota }: Partial<Record<keyof BlocksOptions, unknown>> = blocks
  if (name !== firstQuota) {
    checkText('name of blocks', name)
    if (!NAME.test(name)) throw new RangeError(`name of blocks must match ${NAME.source}, got ${named(name)}`)
  }
  if (lockout === undefined && forget !== undefined) {
    throw new TypeError('forget of blocks needs a lockout, because only lock-outs are remembered')
  }
  return blockLayer(name, lengthsIn(lockout), forget === undefined ? DAY : lengthIn('forget', forget))
}

function lengthsIn(lockout: unknown): number[] {
  if (lockout === undefined) return []
  if (!Array.isArray(lockout)) return [lengthIn('lockout', lockout)]
  const lengths = itemsOf('lockout', lockout, MOST_LENGTHS)
  if (lengths.length === 0) throw new RangeError('lockout must hold at least one length, got []')
  return lengths.map((length, index) => lengthIn(`lockout[${index}]`, length))
}

function lengthIn(name: string, duration: unknown): number {
  if (typeof duration !== 'number' && typeof duration !== 'string') {
    throw new TypeError(`${name} must be a number of milliseconds or a text such as '10m', got ${named(duration)}`)
  }
  const length = microseconds(duration, name)
  if (length > 0 && length <= LONGEST) return length
  throw new RangeError(`${name} must be above 0 and at most 10 years (3653 days), got ${named(duration)}`)
}

/**
 * The end of a block, from `throttle.block`'s argument.
 * @throws TypeError or RangeError for what is no duration above 0 and no time to come, or is further away than 10 years
 */
export function blockEndIn(end: unknown): BlockEnd {
  if (!(end instanceof Date)) return { length: lengthIn('duration', end) }
  const time = end.getTime()
  const away = (time - Date.now()) * 1000
  // False for an Invalid Date too.
  if (away > 0 && away <= LONGEST) return { until: time * 1000 }
  throw new RangeError(
    `the end of a block must be a Date in the future, at most 10 years (3653 days) from now, got ${named(end)}`,
  )
}

const quiet = new WeakMap<Decider, Decider>()

/**
 * The same decider, but without lock-outs: for callers who wait, and for units that are only reserved.
 * @param made makes a decider with another block
 */
export function withoutStrikes(decider: Decider, made: (block: BlockLayer) => Decider): Decider {
  const { block } = decider
  if (block === undefined || block.lockout.length === 0) return decider
  const ready = quiet.get(decider)
  if (ready !== undefined) return ready
  const other = made(withoutLockout(block))
  quiet.set(decider, other)
  return other
}
