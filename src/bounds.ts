/** Limits that several parts of onrush share. */

/** The most layers of one throttle. */
export const MAXIMUM_LAYERS = 16

/** The most states that one atomic step decides, and therefore the most subjects of a `checkAll`. */
export const MAXIMUM_STATES = 128

/** The longest delay of a timer, in ms. A timer with a longer delay would fire at once. */
export const LONGEST_TIMER = 2 ** 31 - 1
