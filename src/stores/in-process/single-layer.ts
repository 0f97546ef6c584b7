/** The usual case of a store in this process: one layer, whose state is changed where it is kept, so that only the result is made. */
import type { CompleteAlgorithm } from '../../algorithms/algorithm.ts'
import { decideOne, type Held, type Layer } from '../../algorithms/driver.ts'
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
  /** What is decided on, for a state that is refused stays as it was; missing while a decision is made, whose algorithm may ask too. */
  #draft: Draft | undefined

  constructor(clock: Clock, layer: Layer, table: StateTable, beside: (name: string) => StateTable) {
    super(clock, [layer], [table], beside)
    this.#layer = layer
    this.#algorithm = layer.algorithm
    this.#quota = layer.quota
    this.#table = table
  }

  override checkSync(key: string, quantity: number): RateLimitResult {
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
    const expires = now + result.resetAfter * 1000
    if (isTuple(stored, size) && isTuple(state, size)) {
      copy(state, stored)
      this.#table.renew?.(key, expires)
    } else this.#table.set(key, copied(algorithm, state), expires)
    return result
  }
}

/** False for whatever an algorithm keeps that has no size. */
function isTuple(state: unknown, size: number): state is number[] {
  return size > 0 && Array.isArray(state) && state.length === size
}

function copy(from: readonly number[], to: number[]): number[] {
  for (let index = 0; index < from.length; index++) to[index] = from[index] ?? 0
  return to
}
