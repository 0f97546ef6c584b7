/** Defaults for members that a user's algorithm may omit if its state is a tuple of numbers. */
import { LimitData } from '../limit-data.ts'
import { Quota } from '../quota.ts'
import type { Algorithm, CompleteAlgorithm } from './algorithm.ts'

/** The most numbers in a state that Redis keeps as packed doubles. */
const MAXIMUM_SIZE = 4

const ANY_QUOTA = Quota.perSecond(1)
const completed = new WeakMap<Algorithm, CompleteAlgorithm>()

/** Fills in the defaults. Returns the same object for the same algorithm. */
export function withDefaults(algorithm: Algorithm): CompleteAlgorithm {
  const ready = completed.get(algorithm)
  if (ready !== undefined) return ready
  const made: CompleteAlgorithm = {
    id: algorithm.id,
    size: algorithm.size ?? sizeOf(algorithm.open(0, ANY_QUOTA)),
    open: (now, quota) => algorithm.open(now, quota),
    roll: (state, now, quota) => algorithm.roll(state, now, quota),
    available: (state, now, quota) => algorithm.available(state, now, quota),
    spend: (state, quantity, now, quota) => algorithm.spend(state, quantity, now, quota),
    resetAfter: (state, now, quota) => algorithm.resetAfter(state, now, quota),
    retryAfter: (state, quantity, now, quota) => algorithm.retryAfter(state, quantity, now, quota),
    valid: (state, quota) =>
      algorithm.valid?.(state, quota) ?? (!Array.isArray(state) || state.every((number) => Number.isFinite(number))),
    toData: (state, now, quota) => algorithm.toData?.(state, now, quota) ?? tupleData(algorithm, state, now, quota),
    // A copy, because states may be changed in place and a record may not.
    fromData: (data, quota) =>
      algorithm.fromData === undefined ? data.history && [...data.history] : algorithm.fromData(data, quota),
    mark: (state, now, quota) => algorithm.mark?.(state, now, quota) ?? 0,
    giveBack: (state, quantity, mark, now, quota) =>
      algorithm.giveBack?.(state, quantity, mark, now, quota) ?? algorithm.spend(state, -quantity, now, quota),
    ...(algorithm.accept === undefined ? {} : { accept: algorithm.accept.bind(algorithm) }),
    ...(algorithm.spendLater === undefined ? {} : { spendLater: algorithm.spendLater.bind(algorithm) }),
    ...(algorithm.spentSince === undefined ? {} : { spentSince: algorithm.spentSince.bind(algorithm) }),
    ...(algorithm.endsAt === undefined ? {} : { endsAt: algorithm.endsAt.bind(algorithm) }),
    ...(algorithm.catchUp === undefined ? {} : { catchUp: algorithm.catchUp.bind(algorithm) }),
  }
  completed.set(algorithm, made)
  return made
}

function sizeOf(state: unknown): number {
  return Array.isArray(state) && state.length <= MAXIMUM_SIZE ? state.length : 0
}

/** @throws TypeError for a state that is not a tuple, because then the algorithm must define `toData` and `fromData`. */
function tupleData(algorithm: Algorithm, state: unknown, now: number, quota: Quota): LimitData {
  if (!Array.isArray(state)) {
    throw new TypeError(`the algorithm '${algorithm.id}' needs toData and fromData to be kept on a store of one's own`)
  }
  const remaining = algorithm.available(state, now, quota)
  return new LimitData({ used: quota.limit - remaining, remaining, createdAt: now, time: now, history: state })
}
