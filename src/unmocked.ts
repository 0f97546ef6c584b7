/**
 * Time and timers as they were when onrush was loaded. A store's own timers must not run on a test's mocks, because a timer set on a mock
 * never fires after the mock is removed. Waits of users do follow the mocks.
 */
import { nodeProcess } from './runtime.ts'

export const { setTimeout } = globalThis
/** Calls back when what the event loop has read has been handled; where a runtime has no `setImmediate`, as soon as a timer does. */
export const setImmediate: (callback: () => void) => void =
  globalThis.setImmediate ?? ((callback: () => void) => setTimeout(callback, 0))
/** The process's monotonic time in ms. */
export const steadyNow: () => number = performance.now.bind(performance)
/** The time of the wall clock in ms since the epoch. */
export const wallNow: () => number = Date.now.bind(Date)
/** Calls back when all microtasks are done; where a runtime has no ticks, as soon as a timer does. */
export const nextTick: (callback: () => void) => void = nodeProcess?.nextTick?.bind(nodeProcess) ?? setImmediate
