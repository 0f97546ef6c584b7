/**
 * Holds permits on the primary, or on the fallback if the primary cannot. Callers who wait at the primary go over to the fallback when it fails. Each permit is renewed and ended on the store that granted it, by that
 * store's own desk, without asking the breaker.
 */
import { type Layer, stateNameOf } from '../../algorithms/driver.ts'
import { steadyNow } from '../../unmocked.ts'
import type { Begun, Desk, HeldLayers, HeldPermit, HeldSubject, Hold, PermitRequest, SubjectHold } from '../desk.ts'
import { checkApart } from './apart.ts'
import type { Breaker } from './breaker.ts'
import { degraded, FailoverDecider } from './decider.ts'

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

  /** All subjects are decided by one of the two stores. */
  async holdAll(subjects: readonly HeldSubject[], signal: AbortSignal | undefined): Promise<readonly SubjectHold[]> {
    const ofPrimary = subjects.map((subject) => ({ ...subject, held: primaryOf(subject) }))
    const ofFallback = subjects.map((subject) => ({ ...subject, held: this.#fallbackOf(subject) }))
    checkApart(ofFallback.flatMap(({ held, key }) => held.layers.map((layer) => `${stateNameOf(layer)}:${key}`)))
    let isLate = false
    const onPrimary = async (): Promise<readonly SubjectHold[]> => {
      const holds = await this.#primary.holdAll(ofPrimary, signal)
      // The fallback was asked meanwhile, so nobody wants what the primary grants now.
      if (isLate) for (const { hold } of holds) hold?.permit?.cancel().catch(() => {})
      return holds
    }
    const onFallback = async (): Promise<readonly SubjectHold[]> => {
      isLate = true
      const holds = await this.#fallback.holdAll(ofFallback, signal)
      return holds.map((one, index) => degradedSubject(one, subjects[index]))
    }
    return this.#breaker.answer(onPrimary, onFallback, signal, subjects[0]?.key)
  }

  #fallbackOf({ held }: HeldSubject): HeldLayers {
    return held instanceof FailoverDecider ? held.fallback : this.#sharesOf(held)
  }

  #sharesOf(held: HeldLayers): HeldLayers {
    const ready = this.#shares.get(held) ?? { layers: held.layers.map(this.#share), block: held.block }
    this.#shares.set(held, ready)
    return ready
  }

  /** The two stores close their own desks. */
  async close(): Promise<void> {}
}

function primaryOf({ held }: HeldSubject): HeldLayers {
  return held instanceof FailoverDecider ? held.primary : held
}

function degradedSubject({ spent, hold }: SubjectHold, subject: HeldSubject | undefined): SubjectHold {
  // A settlement of units without permits goes through this decider.
  const own = subject?.held instanceof FailoverDecider ? [subject.held.fallback] : []
  const fallbacks = [...(spent.fallbacks ?? []), ...own]
  return { spent: { ...spent, result: degraded(spent.result), fallbacks }, hold: hold && degradedHold(hold) }
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

function degradedPermit(permit: HeldPermit): HeldPermit {
  return {
    get signal() {
      return permit.signal
    },
    get isLost() {
      return permit.isLost
    },
    token: permit.token,
    finish: async (change, cancels) => degraded(await permit.finish(change, cancels)),
    cancel: () => permit.cancel(),
  }
}
