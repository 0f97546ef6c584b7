/** Timers that never fire early and have no longest delay. */
import { checkSignal, named } from './arguments.ts'
import { LONGEST_TIMER } from './bounds.ts'
import { type Duration, milliseconds } from './duration.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import { Signals } from './signals.ts'

/**
 * Calls back after at least `delay` ms, by a chain of timers. Reads no clock, so that a test's mocked timers work too.
 * @returns a function that cancels the call
 */
export function alarm(delay: number, callback: () => void): () => void {
  let left = delay
  let timer: NodeJS.Timeout
  const arm = (): void => {
    // 1 ms more, because a timer may fire up to 1 ms early.
    const wait = Math.min(Math.ceil(left) + 1, LONGEST_TIMER)
    left -= wait - 1
    timer = setTimeout(() => (left > 0 ? arm() : callback()), wait)
  }
  arm()
  return () => clearTimeout(timer)
}

/** Options of `sleep`. */
export interface SleepOptions {
  /** Ends the sleep: the promise rejects with its reason, and no timer is left. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS = optionNames<SleepOptions>({ signal: true })
const signals = new Signals()

/**
 * Resolves when at least `duration` has passed, never earlier. A caller who sleeps a result's `retryAfter` is therefore not refused again
 * for coming early, as could happen with a plain timer, which may fire up to 1 ms early.
 * @param duration milliseconds (0 or more, however long), or a text such as `'5 minutes'`; `Infinity` sleeps until the signal
 * @returns rejects with a TypeError or RangeError for a wrong duration, and with the reason of `signal` when that is aborted
 */
export async function sleep(duration: Duration, options: SleepOptions = {}): Promise<void> {
  checkOptionNames('options of sleep', options, OPTIONS)
  const { signal } = options
  checkSignal(signal)
  const delay = milliseconds('duration', duration)
  if (!(delay >= 0)) throw new RangeError(`duration must be 0 or more, got ${named(duration)}`)
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    const stop = alarm(delay, () => {
      if (signal !== undefined) signals.forget(signal, leave)
      resolve()
    })
    const leave = (): void => {
      stop()
      reject(signal?.reason)
    }
    if (signal !== undefined) signals.add(signal, leave)
  })
}
