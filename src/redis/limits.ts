/** Every number of batching: what one call holds, how many calls are in flight, and how long a node may be silent. */
import { MAXIMUM_STATES } from '../bounds.ts'

/** Keys of one call, so that Redis is never blocked for long. A `checkAll` of the most states still fits. */
export const KEYS_IN_CALL = MAXIMUM_STATES

/** Layers that one call decides: identical checks on one key count once, each with all of its layers. */
export const DECISIONS_IN_CALL = 1024

/** A log counts as so many keys of a call, because each decision on one costs some binary searches. */
export const LOG_WEIGHT = 16

/** Calls in flight of one queue. Measured: one loses a third of the throughput, eight a tenth. */
export const CALLS_IN_FLIGHT = 3

/** Keys in flight at one node: three full calls. Above this, new requests wait and are batched. */
export const KEYS_IN_FLIGHT = CALLS_IN_FLIGHT * KEYS_IN_CALL

/** Closed batches of one queue from which on they are indexed by key, because searching each of them would take too long. */
export const SEARCHED_BATCHES = 8

/** From one look at what is in flight to the next, in timeouts: more often where a lost call is sent again. */
export const LOOK_INTERVAL = { resend: 1 / 8, once: 1 }

/** How long a node with calls in flight may be silent before its connection is given up, in timeouts. */
export const SILENCE = { resend: 1 / 2, once: 2 }

/** The shortest silence that gives a connection up, in ms: a healthy server may be this slow. */
export const SHORTEST_SILENCE = 100
