/**
 * Time and timers as they were when onrush was loaded. What a store relies on for as long as it lives must not stop because a test
 * mocks them for a while: a timer that is armed on a mock never fires when the mock has gone. What users wait for follows the mocks.
 */
export const { setTimeout, setImmediate } = globalThis
/** ms of the process's steady clock. */
export const steadyNow: () => number = performance.now.bind(performance)
export const nextTick: (callback: () => void) => void = process.nextTick.bind(process)
