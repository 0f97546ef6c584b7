/** Waits for a state of a server that can only be had by asking again. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks `holds` until it answers true; what it throws counts as not yet. Asks again every 20 ms, for at most 30 s.
 * @throws Error that names `what` was waited for.
 */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  let cause: unknown
  while (performance.now() < deadline) {
    try {
      if (await holds()) return
    } catch (error) {
      cause = error
    }
    await sleep(20)
  }
  throw new Error(`Waited 30 s in vain for ${what}`, { cause })
}

/** As `until`, for all `items` at once. */
export function untilEach<Item>(
  what: string,
  items: readonly Item[],
  holds: (item: Item) => Promise<boolean>,
): Promise<void> {
  return until(what, async () => (await Promise.all(items.map(holds))).every((answer) => answer))
}
