/** Fast path of in-process stores for a single layer. Stored tuples are changed in place, so that a check allocates only its result. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { decideOne, type Held, type Layer } from '../../algorithms/driver.ts'
import type { Terms } from '../../algorithms/terms.ts'
import type { Clock } from '../../clock.ts'
import type { Quota } from '../../quota.ts'
import type { RateLimitResult } from '../../result.ts'
import { copied, InProcessDecider, type StateTable } from './decider.ts'

interface Draft extends Held {
  readonly numbers: number[]
}

export class SingleDecider extends InProcessDecider {
  readonly #layer: Layer
  readonly #algorithm: CompleteAlgorithm
  readonly #quota: Quota
  readonly #table: StateTable
  /** How long the state is kept. `undefined`: for `resetAfter`, which the result holds already. */
  readonly #keptFor: CompleteAlgorithm['keptFor']
  /**
   * A reusable copy of the state to decide on, because a refused check must not change the stored state. `undefined` while a decision is in
   * progress, because a custom algorithm may check again inside it.
   */
  #draft: Draft | undefined

  constructor(clock: Clock, layer: Layer, table: StateTable, tableOf: (name: string) => StateTable) {
    super(clock, [layer], [table], tableOf)
    this.#layer = layer
    this.#algorithm = layer.algorithm
    this.#quota = layer.quota
    this.#table = table
    this.#keptFor = layer.algorithm.keptFor
  }

  override checkSync(key: string, quantity: number, terms?: Terms): RateLimitResult {
    if (terms !== undefined) return super.checkSync(key, quantity, terms)
    const now = this.clock()
    const algorithm = this.#algorithm
    const quota = this.#quota
    const stored = this.#table.get(key)
    const draft = this.#draft ?? { state: undefined, numbers: [] }
    this.#draft = undefined
    const { size } = algorithm
    if (stored === undefined) draft.state = algorithm.open(now, quota)
    else draft.state = algorithm.roll(isTuple(stored, size) ? copy(stored, draft.numbers) : stored, now, quota)
    const result = decideOne(this.#layer, draft, quantity, now)
    this.#draft = draft
    if (result.limited || quantity === 0) return result
    const { state } = draft
    const expires = now + (this.#keptFor === undefined ? result.resetAfter * 1000 : this.#keptFor(state, now, quota))
    if (isTuple(stored, size) && isTuple(state, size)) {
      copy(state, stored)
      this.#table.renew?.(key, expires)
    } else this.#table.set(key, copied(algorithm, state), expires)
    return result
  }
}

/** True for a tuple of `size` numbers. False for any other kind of state, such as a log. */
function isTuple(state: unknown, size: number): state is number[] {
  return size > 0 && Array.isArray(state) && state.length === size
}

function copy(from: readonly number[], to: number[]): number[] {
  for (let index = 0; index < from.length; index++) to[index] = from[index] ?? 0
  return to
}
