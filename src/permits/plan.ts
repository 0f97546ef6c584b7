/** The layers of a throttle with permits, apart. */
import type { Layer } from '../algorithms/driver.ts'
import { holdsPermits } from '../operations/permits.ts'
import type { Decider } from '../stores/decider.ts'

export interface Plan {
  readonly layers: readonly Layer[]
  /** Decides all layers in one step, if the store can. */
  readonly whole: Decider
  readonly permits: readonly PlannedPermits[]
  /** Decides the other layers. `undefined`: there are none. */
  readonly rates: Decider | undefined
}

export interface PlannedPermits {
  /** The layer's index. */
  readonly index: number
  readonly layer: Layer
  /** Decides this layer alone. */
  readonly decider: Decider
}

export function planOf(layers: readonly Layer[], deciderOf: (layers: readonly Layer[]) => Decider): Plan {
  const rates = layers.filter((layer) => !holdsPermits(layer))
  return {
    layers,
    whole: deciderOf(layers),
    permits: layers.flatMap((layer, index) =>
      holdsPermits(layer) ? [{ index, layer, decider: deciderOf([layer]) }] : [],
    ),
    rates: rates.length === 0 ? undefined : deciderOf(rates),
  }
}
