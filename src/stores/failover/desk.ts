/**
 * Holds permits on the primary, or on the fallback if the primary cannot. Callers who wait at the primary go over to the fallback when it fails. Each permit is renewed and ended on the store that granted it, by that
 * store's own desk, without asking the breaker.
 */
import type { Layer } from '../../algorithms/driver.ts'
import { steadyNow } from '../../unmocked.ts'
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
    const { maxWait } = request
    const end = steadyNow() + (maxWait ?? 0)
    const leaving = new AbortController()
    const either = maxWait === undefined ? signal : anyOf(signal, leaving.signal)
    let isLate = false
    const onPrimary = async (): Promise<Begun> => {
      const begun = await this.#primary.begin(held, key, { ...request, failsFast: true }, either)
      // The fallback was asked meanwhile, so nobody wants what the primary grants now.
      if (isLate) giveUp(begun)
      if ('hold' in begun) return begun
      const leave = (cause: unknown): void => leaving.abort(cause)
      const over = async (): Promise<Hold> => holdOf(await onFallback())
      return { wait: () => this.#breaker.awaitTurn(begun.wait, leave, over, signal, key), leave: begun.leave }
    }
    const onFallback = async (): Promise<Begun> => {
      isLate = true
      const left = maxWait === undefined ? request : { ...request, maxWait: Math.max(end - steadyNow(), 0) }
      return degradedBegun(await this.#fallback.begin(this.#sharesOf(held), key, left, signal))
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

function anyOf(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one === undefined ? other : AbortSignal.any([one, other])
}

async function holdOf(begun: Begun): Promise<Hold> {
  return 'hold' in begun ? begun.hold : begun.wait()
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
