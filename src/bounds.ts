/** Bounds that more than one room keeps to, each said once. */

/** The most layers of one throttle. */
export const MAXIMUM_LAYERS = 16

/** The most states that one atomic step decides, and so the most subjects of a `checkAll`. */
export const MAXIMUM_STATES = 128

/** The longest time that a timer can wait, in ms; a timer that is told more fires at once. */
export const LONGEST_TIMER = 2 ** 31 - 1
