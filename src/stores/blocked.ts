/** The list of blocked keys, for operators. */
import { checkInteger } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'

/** A block that refuses a key now. */
export interface BlockedKey {
  /** The key, as it was given to the throttle. `RedisStore` keeps a key of more than 200 bytes cut and digested, and gives that. */
  readonly key: string
  /** The name of the block. Empty if `RedisStore`, which keeps names apart, does not know it any more. */
  readonly name: string
  /** When the block ends, by the store's clock. */
  readonly until: Date
  /** How many lock-outs of the key are remembered. 0: the key was blocked by `throttle.block` alone. */
  readonly strikes: number
}

/** Options of `store.blocked`. */
export interface BlockedOptions {
  /** The most keys that are given: an integer of at least 1. Default: all. */
  readonly limit?: number | undefined
}

const OPTIONS = optionNames<BlockedOptions>({ limit: true })

/** The start of a block's state name, before the name of the block. */
export const BLOCK_STATES = 'block:'

/** @throws TypeError or RangeError for wrong options */
export function blockedLimitIn(options: BlockedOptions): number {
  checkOptionNames('options of blocked', options, OPTIONS)
  const { limit } = options
  if (limit === undefined) return Number.POSITIVE_INFINITY
  checkInteger('limit', limit, 1)
  return limit
}

/** The blocked key, if this state blocks it now. */
export function blockedKeyOf(
  key: string,
  stateName: string | undefined,
  [until = 0, strikes = 0]: readonly number[],
  now: number,
): BlockedKey | undefined {
  if (until <= now) return undefined
  return { key, name: stateName?.slice(BLOCK_STATES.length) ?? '', until: new Date(Math.ceil(until / 1000)), strikes }
}

/** Up to `limit` of the blocked keys. */
export async function* firstOf(
  blocked: AsyncIterable<BlockedKey> | Iterable<BlockedKey>,
  limit: number,
): AsyncGenerator<BlockedKey, void, undefined> {
  let count = 0
  for await (const one of blocked) {
    yield one
    count++
    if (count >= limit) return
  }
}
