/** The requests for permits that are not answered yet. A desk that closes waits for them, and gives back what they still bring. */
import { StoreUnavailableError } from '../errors.ts'
import type { Begun, SubjectHold } from '../stores/desk.ts'

export class AsksInFlight {
  readonly #asks = new Set<Promise<unknown>>()
  #closed = false

  /**
   * Asks, unless the desk is closed.
   * @param giveBack called with the answer if the desk has closed meanwhile; the promise then rejects
   */
  async run<Given>(ask: () => Promise<Given>, giveBack: (given: Given) => Promise<unknown>): Promise<Given> {
    if (this.#closed) throw new StoreUnavailableError('The store is closed')
    const asking = this.#answer(ask, giveBack)
    this.#asks.add(asking)
    try {
      return await asking
    } finally {
      this.#asks.delete(asking)
    }
  }

  async #answer<Given>(ask: () => Promise<Given>, giveBack: (given: Given) => Promise<unknown>): Promise<Given> {
    const given = await ask()
    if (!this.#closed) return given
    await giveBack(given).catch(() => {})
    throw new StoreUnavailableError('The store was closed')
  }

  /** Refuses all that is asked from now on. Resolves when what was asked before is answered, and given back. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#asks)
  }
}

/** Gives back what one caller has got. */
export async function giveBack(begun: Begun): Promise<void> {
  if ('wait' in begun) begun.leave()
  else await begun.hold.permit?.cancel()
}

/** Gives back the permits of several subjects. */
export async function giveBackAll(holds: readonly SubjectHold[]): Promise<void> {
  await Promise.all(holds.map(({ hold }) => hold?.permit?.cancel()))
}
