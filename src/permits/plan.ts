/** The layers of a throttle with permits, apart. */
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { OwnTicket } from '../operations/end-permits.ts'
import { holdsPermits } from '../operations/permits.ts'
import type { Decider } from '../stores/decider.ts'
import type { HeldLayers } from '../stores/desk.ts'
import type { Place } from './place.ts'

export interface Plan {
  readonly layers: readonly Layer[]
  /** Decides all layers in one step, and whether the key is blocked, if the store can. */
  readonly whole: Decider
  readonly permits: readonly PlannedPermits[]
  /** Decides the other layers. `undefined`: there are none. */
  readonly rates: Decider | undefined
  /** The indexes of the layers that `rates` decides. */
  readonly rateIndexes: readonly number[]
}

/** The ticket of one caller in one layer with permits. */
export interface Part {
  /** The layer's index in the throttle. */
  readonly index: number
  readonly place: Place
  readonly ticket: OwnTicket
}

export interface PlannedPermits {
  /** The layer's index. */
  readonly index: number
  readonly layer: Layer
  /** Decides this layer alone. */
  readonly decider: Decider
}

export type DeciderOf = (layers: readonly Layer[], block?: BlockLayer) => Decider

export function planOf({ layers, block }: HeldLayers, deciderOf: DeciderOf): Plan {
  const rateIndexes = layers.flatMap((layer, index) => (holdsPermits(layer) ? [] : [index]))
  const rates = layers.filter((layer) => !holdsPermits(layer))
  const whole = deciderOf(layers, block)
  // The same decider, so that the requests of a batch know at once that their states agree.
  const isWhole = layers.length === 1 && block === undefined
  return {
    layers,
    whole,
    permits: layers.flatMap((layer, index) =>
      holdsPermits(layer) ? [{ index, layer, decider: isWhole ? whole : deciderOf([layer]) }] : [],
    ),
    rates: rates.length === 0 ? undefined : deciderOf(rates),
    rateIndexes,
  }
}
