/** Closes and resets the two stores of a FailoverStore, without waiting for ever for one that hangs. */
import { LONGEST_TIMER } from '../../bounds.ts'
import { StoreTimeoutError } from '../../errors.ts'
import type { BaseStore } from '../base.ts'
import { Patience } from '../patience.ts'

/** The least time that a store has to close, or to answer while it resets, in ms. */
const AT_LEAST = 1000

/**
 * Closes a store. A store has twice the time of a decision, because a built-in store that is not answered in time then still disconnects.
 * @throws StoreTimeoutError if the store has not closed by then.
 */
export function closeInTime(store: BaseStore): Promise<void> {
  const patience = new Patience(Math.min(Math.max(2 * store.answersWithin, AT_LEAST), LONGEST_TIMER))
  return patience.within(
    () => store.close(),
    () => unanswered(store, 'close', patience),
  )
}

/**
 * Resets a store. There is no deadline, because many records take long to delete; but a store that also answers no ping is given up.
 * @throws StoreTimeoutError if the store has stopped answering.
 */
export async function resetWhileAnswering(store: BaseStore): Promise<void> {
  const patience = new Patience(Math.min(Math.max(store.answersWithin, AT_LEAST), LONGEST_TIMER))
  const resetting = (async () => store.reset())()
  const isOver = () =>
    patience.within(
      () => resetting,
      () => new StillResetting(),
    )
  for (;;) {
    try {
      await isOver()
      return
    } catch (error) {
      if (!(error instanceof StillResetting)) throw error
    }
    if (!(await store.ping())) throw unanswered(store, 'reset', patience)
  }
}

class StillResetting extends Error {}

function unanswered(store: BaseStore, method: string, { timeout }: Patience): StoreTimeoutError {
  return new StoreTimeoutError(timeout, false, new Error(`${method} of ${store.constructor.name} has not answered`))
}
