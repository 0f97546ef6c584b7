/**
 * Answers that came ready from Redis, in the shape of an algorithm: for algorithms whose state is too long to be sent back.
 * State: units available, and in µs, as they are after the decision: resetAfter, retryAfter for the quantity asked,
 * and nextAfter.
 */
import type { CompleteAlgorithm } from './algorithm.ts'

export type RemoteAnswers = readonly [available: number, resetAfter: number, retryAfter: number, nextAfter: number]

/** Reads the reply to a check: what was available before it, the rest as it is after. */
export function remoteAnswers(algorithm: CompleteAlgorithm): CompleteAlgorithm<RemoteAnswers> {
  return {
    id: algorithm.id,
    size: 4,
    open: (now, quota) => [algorithm.available(algorithm.open(now, quota), now, quota), 0, 0, 0],
    roll: (state) => state,
    available: (state) => state[0],
    // What is given back is in the answers already.
    spend: (state, quantity) => (quantity > 0 ? [state[0] - quantity, state[1], state[2], state[3]] : state),
    resetAfter: (state) => state[1],
    retryAfter: (state) => state[2],
    // Of equal checks in one call all are told the same: what is oldest leaves first, whoever has spent since.
    nextAfter: (state) => state[3],
    valid: () => true,
    toData: (_state, now, quota) => algorithm.toData(algorithm.open(now, quota), now, quota),
    fromData: () => undefined,
    // The newest entry, for it leaves last.
    mark: (state, now, quota) => now + state[1] - quota.periodMicroseconds,
    giveBack: (state) => state,
  }
}

/** Reads the reply to an operation, which says all as it is after it. */
export function answersAfter(remote: CompleteAlgorithm): CompleteAlgorithm {
  return { ...remote, spend: (state) => state, giveBack: (state) => state }
}
