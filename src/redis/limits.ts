/** Every number of batching: the size of a call, calls in flight, and the silence of a node. */
import { MAXIMUM_STATES } from '../bounds.ts'

/** Keys of one call, so that Redis is never blocked for long. A `checkAll` of the most states still fits. */
export const KEYS_IN_CALL = MAXIMUM_STATES

/** Layers decided in one call. Identical checks on one key count once, and each check counts all its layers. */
export const DECISIONS_IN_CALL = 1024

/** The number of keys that a log counts as in a call, because each decision on a log costs some binary searches. */
export const LOG_WEIGHT = 16

/** The same where the log is the only state of a check, and a script of its own decides. Measured: such a check costs about as much as two others. */
export const LOG_WEIGHT_ALONE = 4

/** The fewest keys of a call whose script tries MSETEX. With fewer values of one expiry, a SET for each costs no more. */
export const FEWEST_GROUPED = 4

/** Calls in flight per queue. Measured: with one, throughput falls by a third; with eight, by a tenth. */
export const CALLS_IN_FLIGHT = 3

/** Keys in flight at one node: three full calls. From this number on, new requests wait and are batched. */
export const KEYS_IN_FLIGHT = CALLS_IN_FLIGHT * KEYS_IN_CALL

/**
 * The fewest keys that are asked for again in two calls rather than one, when all callers were answered at once. Measured: with so many, 1.5 times
 * as many checks a second; fewer share a call, so that a small service makes no more calls.
 */
export const FEWEST_DIVIDED = 16

/** The number of closed batches from which a queue indexes them by key, because searching each batch would take too long. */
export const SEARCHED_BATCHES = 8

/** How long the keys of a slot are asked apart, in ms, after a node was found not to serve one of them. */
export const ASKED_APART = 1000

/** The interval between looks at the calls in flight, as a share of the timeout. Shorter with `resend`, because lost calls are resent. */
export const LOOK_INTERVAL = { resend: 1 / 8, once: 1 }

/** How long a node with calls in flight may be silent before its connection is replaced, as a multiple of the timeout. */
export const SILENCE = { resend: 1 / 2, once: 2 }

/** The shortest silence after which a connection is replaced, in ms, because a healthy server may be this slow. */
export const SHORTEST_SILENCE = 100
