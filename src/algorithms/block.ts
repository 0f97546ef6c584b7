/**
 * The block of a key: until when everybody is refused, and how many lock-outs are remembered. Stores keep a block as they keep the state of
 * an algorithm. Lua implementation: `lua/blocks/block.lua`.
 */
import { LimitData } from '../limit-data.ts'
import { Quota } from '../quota.ts'
import { type CompleteAlgorithm, MAXIMUM_UNITS } from './algorithm.ts'
import type { Layer } from './driver.ts'

/** The id of blocks among the states of a key, which no algorithm may have. */
export const BLOCK_ID = 'block'

/** The last number of the state of a block, by which a scan of a store recognizes blocks. No other state ends with this number. */
const BLOCK_MARK = -1_936_746_606

/** Refused until this time (0: never blocked), the number of lock-outs not yet forgotten, and BLOCK_MARK. Changed in place. */
export type BlockState = [until: number, strikes: number, mark: number]

/** The state of a block in these numbers. Not blocked, if there are none. */
export function blockStateIn(state: unknown): BlockState {
  const [until, strikes]: readonly unknown[] = Array.isArray(state) ? state : []
  return [Number(until ?? 0), Number(strikes ?? 0), BLOCK_MARK]
}

/** True for the numbers of a block, of whatever name. */
export function areOfBlock(numbers: readonly number[]): boolean {
  return numbers.length === algorithm.size && numbers[2] === BLOCK_MARK
}

/** One strike is forgotten for each period of the quota. */
const algorithm: CompleteAlgorithm<BlockState> = {
  id: BLOCK_ID,
  size: 3,
  open: () => [0, 0, BLOCK_MARK],
  // Strikes are forgotten only when the state is written, so that a state reads the same at any time.
  roll: (state) => state,
  available: ([until], now) => (until > now ? 0 : 1),
  spend: (state) => state,
  // The state counts until the last strike is forgotten.
  resetAfter: ([until, strikes], now, quota) => Math.max(0, until + strikes * quota.periodMicroseconds - now),
  retryAfter: ([until], _quantity, now) => Math.max(0, until - now),
  valid: ([until, strikes, mark]) => isUnits(until) && isUnits(strikes) && mark === BLOCK_MARK,
  toData: ([until, strikes], now) =>
    new LimitData({ used: strikes, remaining: until > now ? 0 : 1, createdAt: now, time: until }),
  fromData: ({ used, time }) => (time === undefined ? undefined : [time, used, BLOCK_MARK]),
  mark: () => 0,
  giveBack: (state) => state,
}

/** The block of a throttle's keys. Blocks of the same name are one state of the key. */
export interface BlockLayer extends Layer {
  readonly algorithm: CompleteAlgorithm<BlockState>
  readonly stateName: string
  /** Lengths of successive lock-outs, in µs; the last one again and again. Empty: no refusal starts a lock-out. */
  readonly lockout: readonly number[]
}

/** @param forget µs after which one strike is forgotten */
export function blockLayer(name: string, lockout: readonly number[], forget: number): BlockLayer {
  // A name, because blocks of other numbers may share the state.
  const quota = new Quota({ count: 1, period: forget / 1000, name: 'block' })
  return { algorithm, quota, lua: undefined, stateName: `${BLOCK_ID}:${name}`, lockout }
}

/** The block of the same name, but without lock-outs. */
export function withoutLockout(layer: BlockLayer): BlockLayer {
  return { ...layer, lockout: [] }
}

export function isBlocked(state: BlockState, now: number): boolean {
  return state[0] > now
}

/** Starts the next lock-out, for at least `whole` µs. Not to be called while the key is blocked. */
export function strike(state: BlockState, { lockout, quota }: BlockLayer, whole: number, now: number): void {
  const strikes = remembered(state, quota, now)
  const length = lockout[Math.min(strikes, lockout.length - 1)] ?? 0
  state[0] = Math.min(now + Math.max(length, whole), MAXIMUM_UNITS)
  state[1] = Math.min(strikes + 1, MAXIMUM_UNITS)
}

/** Blocks the key until `until` at least. A longer block stays. */
export function extend(state: BlockState, { quota }: BlockLayer, until: number, now: number): void {
  if (until <= state[0] || until <= now) return
  state[1] = remembered(state, quota, now)
  state[0] = until
}

/** Strikes not yet forgotten: one less for each period since the end of the last block. */
function remembered([until, strikes]: BlockState, quota: Quota, now: number): number {
  if (now <= until) return strikes
  return Math.max(0, strikes - Math.floor((now - until) / quota.periodMicroseconds))
}

function isUnits(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
