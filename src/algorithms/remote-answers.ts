/**
 * An algorithm whose state is the answers that Redis computed, for algorithms whose real state is too long to send back. State: the units
 * available, and in µs after the decision: resetAfter, retryAfter for the quantity asked, and nextAfter.
 */
import type { CompleteAlgorithm } from './algorithm.ts'

export type RemoteAnswers = readonly [available: number, resetAfter: number, retryAfter: number, nextAfter: number]

/** For the reply to a check: `available` is from before the check, the rest from after. */
export function remoteAnswers(algorithm: CompleteAlgorithm): CompleteAlgorithm<RemoteAnswers> {
  return {
    id: algorithm.id,
    size: 4,
    open: (now, quota) => [algorithm.available(algorithm.open(now, quota), now, quota), 0, 0, 0],
    roll: (state) => state,
    available: (state) => state[0],
    // The answers already include units given back.
    spend: (state, quantity) => (quantity > 0 ? [state[0] - quantity, state[1], state[2], state[3]] : state),
    resetAfter: (state) => state[1],
    retryAfter: (state) => state[2],
    // The same for all identical checks in a call, because the oldest entry leaves first whoever has spent since.
    nextAfter: (state) => state[3],
    valid: () => true,
    toData: (_state, now, quota) => algorithm.toData(algorithm.open(now, quota), now, quota),
    fromData: () => undefined,
    // The time of the newest entry, because that entry leaves last.
    mark: (state, now, quota) => now + state[1] - quota.periodMicroseconds,
    giveBack: (state) => state,
  }
}

/** For the reply to an operation, in which all answers are from after the operation. */
export function answersAfter(remote: CompleteAlgorithm): CompleteAlgorithm {
  return { ...remote, spend: (state) => state, giveBack: (state) => state }
}
