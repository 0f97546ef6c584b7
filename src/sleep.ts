/** Waiting that never ends early, however long it is. */
import { setTimeout } from 'node:timers/promises'

/** The longest a timer can be told to wait, in ms; told more, it fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Resolves when at least `milliseconds` have passed, by a clock that nobody sets; one timer at a time.
 * @returns rejects with the reason of `signal` when that is aborted; no timer is left then
 */
export async function sleep(
  milliseconds: number,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const end = performance.now() + milliseconds
  let left = milliseconds
  do {
    try {
      await setTimeout(Math.min(Math.ceil(left), LONGEST_TIMER), undefined, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      throw error
    }
    // A timer may fire up to 1 ms before its time.
    left = end - performance.now()
  } while (left > 0)
}
