/** Waits for permits on a store that keeps no queue: asks again and again, in no order with others. */
import { sleep } from '../sleep.ts'
import type { Begun, Hold } from '../stores/desk.ts'
import { steadyNow } from '../unmocked.ts'
import type { AsksInFlight } from './asks-in-flight.ts'

/** The pause between two attempts, in ms. */
const SHORTEST_PAUSE = 25
const LONGEST_PAUSE = 250

/**
 * @param ask tries once
 * @param end until when the caller waits, in ms of `performance.now`
 */
export async function beginAsking(
  ask: () => Promise<Hold>,
  end: number,
  asks: AsksInFlight,
  signal: AbortSignal | undefined,
): Promise<Begun> {
  const first = await ask()
  const { retryAfter, blockedUntil } = first.result
  if (first.permit !== undefined || retryAfter === Number.POSITIVE_INFINITY || blockedUntil !== undefined)
    return { hold: first }
  const wait = async (): Promise<Hold> => {
    let hold = first
    let pause = SHORTEST_PAUSE
    while (hold.permit === undefined && steadyNow() < end) {
      await sleep(Math.min(pause * (0.5 + Math.random()), Math.max(end - steadyNow(), 0)), { signal })
      pause = Math.min(pause * 1.5, LONGEST_PAUSE)
      hold = await asks.run(ask, async ({ permit }) => permit?.cancel())
    }
    return hold
  }
  return { wait, leave: () => {} }
}
