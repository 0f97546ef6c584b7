/** The compare-and-swap loop on one record of a custom store. */
import { CENTURY } from '../algorithms/algorithm.ts'
import { type Layer, lifetimeOf } from '../algorithms/driver.ts'
import { quoted } from '../arguments.ts'
import { DataChangedInStoreError, MismatchedDataError } from '../errors.ts'
import type { LimitData } from '../limit-data.ts'
import { setImmediate } from '../unmocked.ts'
import type { Question, RecordAccess } from './record-store.ts'

/** A check fails after this many swaps lost to other processes. */
const MAXIMUM_TRIES = 10_000

/** The result of one step: the state to write and the answer. `write` is `undefined`: nothing is written. */
export interface Step<T> {
  readonly write?: unknown
  readonly answer: T
}

/** One record: a layer of a key. */
export interface Cell {
  readonly layer: Layer
  readonly name: string
}

/** Reads, decides and swaps. Starts again if another process was quicker. */
export function swap<T>(
  access: RecordAccess,
  question: Question,
  { layer, name }: Cell,
  step: (state: unknown, now: number, present: boolean) => Step<T>,
): Promise<T> {
  return access.inTurn(question, name, async () => {
    const { algorithm, quota } = layer
    for (let tries = 0; tries < MAXIMUM_TRIES; tries++) {
      const now = await access.currentTime(question)
      const old = await access.get(question, name)
      const { write, answer } = step(...stateIn(old, layer, now))
      if (write === undefined) return answer
      const ttl = ttlOf(lifetimeOf(layer, write, now))
      try {
        await access.compareAndSwap(question, name, old, algorithm.toData(write, now, quota), ttl)
        return answer
      } catch (error) {
        if (!(error instanceof MismatchedDataError)) throw error
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    }
    throw new DataChangedInStoreError(`${quoted(name)} kept changing: lost ${MAXIMUM_TRIES} swaps to other processes`)
  })
}

/** In ms. At most a century, because a large debt can last longer than a server accepts as expiry. */
function ttlOf(lifetime: number): number {
  return Math.max(Math.ceil(Math.min(lifetime, CENTURY) / 1000), 1)
}

/** The state in a record, rolled to now, and whether the record is valid. A missing or invalid record reads as a fresh key. */
function stateIn(data: LimitData | undefined, { algorithm, quota }: Layer, now: number): [unknown, number, boolean] {
  const state = data === undefined ? undefined : algorithm.fromData(data, quota)
  const present = state !== undefined && algorithm.valid(state, quota)
  return [present ? algorithm.roll(state, now, quota) : algorithm.open(now, quota), now, present]
}
