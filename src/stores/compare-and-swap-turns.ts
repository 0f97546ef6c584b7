/** Turns on a store of one's own. */
import { LRUCache } from 'lru-cache'
import type { Layer } from '../algorithms/driver.ts'
import { canPromise, takeTurn, waitFor } from '../algorithms/turns.ts'
import { type Turn, Vacancies } from '../algorithms/vacancies.ts'
import type { Decider } from './decider.ts'
import type { RecordAccess } from './record-store.ts'
import { type Cell, swap } from './swap-record.ts'

/** Keys whose vacancies are known; those of others pass unused. */
const KEPT_VACANCIES = 1000

/** A turn is one swap, so of one layer; missing where there are more, or the algorithm cannot promise a start. */
export function turnsOf(
  access: RecordAccess,
  layers: readonly Layer[],
  cells: (key: string, quantity: number) => readonly Cell[],
): Decider['acquire'] {
  if (layers.length !== 1 || !canPromise(layers)) return undefined
  /** Known to this process alone. */
  const known = new LRUCache<string, Vacancies>({ max: KEPT_VACANCIES })

  async function giveUp(cell: Cell, turn: Turn): Promise<void> {
    const kept = await access.ask(
      (question) =>
        swap(access, question, cell, (state, now, present) => {
          const found = { layers, states: [state], present: [present] }
          const answer = new Vacancies(known.get(cell.name))
          const [change] = answer.add(found, turn, now)
          return change === undefined ? { answer } : { write: found.states[0], answer }
        }),
      { finishes: true },
    )
    if (kept.expires === undefined) known.delete(cell.name)
    else known.set(cell.name, kept)
  }

  return async (key, quantity, longest, mayTakeVacancy) => {
    const [cell] = cells(key, quantity)
    if (cell === undefined) throw new RangeError('a turn needs a layer')
    const { turn, ...promised } = await access.ask((question) =>
      swap(access, question, cell, (state, now, present) => {
        const found = { layers, states: [state], present: [present] }
        const wait = waitFor(found, quantity, now)
        const vacancies = mayTakeVacancy && wait < Number.POSITIVE_INFINITY ? known.get(cell.name) : undefined
        const vacancy = vacancies?.take(found, quantity, wait, longest, now)
        const answer = takeTurn(found, quantity, longest, now, vacancy)
        return vacancy !== undefined || answer.turn === undefined ? { answer } : { write: found.states[0], answer }
      }),
    )
    return { ...promised, giveUp: async () => turn && giveUp(cell, turn) }
  }
}
