/**
 * Holds permits on the primary, or on the fallback if the primary cannot. Each permit is renewed and ended on the store that granted it, by that
 * store's own desk, without asking the breaker.
 */
import type { Layer } from '../../algorithms/driver.ts'
import type { Begun, Desk, HeldLayers, HeldPermit, Hold, PermitRequest } from '../desk.ts'
import type { Breaker } from './breaker.ts'
import { degraded } from './decider.ts'

export class FailoverDesk implements Desk {
  readonly #breaker: Breaker
  readonly #primary: Desk
  readonly #fallback: Desk
  readonly #share: (layer: Layer) => Layer
  readonly #shares = new WeakMap<HeldLayers, HeldLayers>()

  constructor(breaker: Breaker, primary: Desk, fallback: Desk, share: (layer: Layer) => Layer) {
    this.#breaker = breaker
    this.#primary = primary
    this.#fallback = fallback
    this.#share = share
  }

  begin(held: HeldLayers, key: string, request: PermitRequest, signal: AbortSignal | undefined): Promise<Begun> {
    let isLate = false
    const onPrimary = async (): Promise<Begun> => {
      const begun = await this.#primary.begin(held, key, { ...request, failsFast: true }, signal)
      // The fallback was asked meanwhile, so nobody wants what the primary grants now.
      if (isLate) giveUp(begun)
      return begun
    }
    const onFallback = async (): Promise<Begun> => {
      isLate = true
      return degradedBegun(await this.#fallback.begin(this.#sharesOf(held), key, request, signal))
    }
    return this.#breaker.answer(onPrimary, onFallback, signal, key)
  }

  #sharesOf(held: HeldLayers): HeldLayers {
    const ready = this.#shares.get(held) ?? { layers: held.layers.map(this.#share), block: held.block }
    this.#shares.set(held, ready)
    return ready
  }

  /** The two stores close their own desks. */
  async close(): Promise<void> {}
}

function giveUp(begun: Begun): void {
  if ('wait' in begun) begun.leave()
  else begun.hold.permit?.cancel().catch(() => {})
}

function degradedBegun(begun: Begun): Begun {
  if ('hold' in begun) return { hold: degradedHold(begun.hold) }
  return { wait: async () => degradedHold(await begun.wait()), leave: begun.leave }
}

function degradedHold({ result, permit }: Hold): Hold {
  return { result: degraded(result), permit: permit && degradedPermit(permit) }
}

function degradedPermit({ signal, token, finish, cancel }: HeldPermit): HeldPermit {
  return { signal, token, cancel, finish: async (change, cancels) => degraded(await finish(change, cancels)) }
}
