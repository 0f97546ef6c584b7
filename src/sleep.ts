/** Waiting that never ends early, however long it is. */
import { Signals } from './signals.ts'

/** The longest a timer can be told to wait, in ms; told more, it fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1

const signals = new Signals()

/**
 * Resolves when at least `milliseconds` have passed, by a clock that nobody sets; one timer at a time.
 * @returns rejects with the reason of `signal` when that is aborted; no timer is left then
 */
export async function sleep(
  milliseconds: number,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  signal?.throwIfAborted()
  const end = performance.now() + milliseconds
  let left = milliseconds
  do {
    await timer(Math.min(Math.ceil(left), LONGEST_TIMER), signal)
    // A timer may fire up to 1 ms before its time.
    left = end - performance.now()
  } while (left > 0)
}

function timer(delay: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => {
      if (signal !== undefined) signals.forget(signal, leave)
      resolve()
    }, delay)
    const leave = (): void => {
      clearTimeout(timeout)
      reject(signal?.reason)
    }
    if (signal !== undefined) signals.add(signal, leave)
  })
}
