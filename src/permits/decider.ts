/** Decides for a throttle with permits: looks, and clears. Permits are held by the store's desk, because each needs a ticket. */
import type { Layer } from '../algorithms/driver.ts'
import { spendsAny, type Terms } from '../algorithms/terms.ts'
import { adjust } from '../operations/adjust.ts'
import { clear } from '../operations/clear.ts'
import type { Answer, AnyOperation, Operation } from '../operations/operation.ts'
import { peekAtPermits } from '../operations/peek-at-permits.ts'
import { holdsPermits } from '../operations/permits.ts'
import type { RateLimitResult } from '../result.ts'
import { type Decider, isSync, type SyncDecider } from '../stores/decider.ts'
import type { Desk } from '../stores/desk.ts'

export class PermitDecider implements Decider {
  readonly layers: readonly Layer[]
  readonly block: Decider['block']
  readonly desk: Desk
  readonly #decider: Decider

  constructor(decider: Decider, desk: Desk) {
    this.layers = decider.layers
    this.block = decider.block
    this.#decider = decider
    this.desk = desk
  }

  async check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    if (spendsAny(quantity, terms)) throw holdsNothing(terms?.upTo === true ? 'checkUpTo' : 'check')
    return (await this.#decider.operate(key, peekAtPermits, { quantity }, signal)).result
  }

  /** Only what holds nothing can be answered without waiting. */
  checkNow(_key: string, quantity: number): RateLimitResult | undefined {
    if (quantity > 0) throw holdsNothing('checkNow')
    return undefined
  }

  async operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    if (!this.supports(operation)) throw unsupported(operation)
    return this.#decider.operate(key, operation, args, signal)
  }

  supports(operation: AnyOperation): boolean {
    return operation.code === clear.code || operation.changeBlock !== undefined
  }
}

class SyncPermitDecider extends PermitDecider implements SyncDecider {
  readonly #decider: SyncDecider

  constructor(decider: SyncDecider, desk: Desk) {
    super(decider, desk)
    this.#decider = decider
  }

  checkSync(key: string, quantity: number, terms?: Terms): RateLimitResult {
    if (spendsAny(quantity, terms)) throw holdsNothing(terms?.upTo === true ? 'checkUpToSync' : 'checkSync')
    return this.#decider.operateSync(key, peekAtPermits, { quantity }).result
  }

  override checkNow(key: string, quantity: number): RateLimitResult | undefined {
    return super.checkNow(key, quantity) ?? this.checkSync(key, quantity)
  }

  operateSync<Args, Given extends Answer>(key: string, operation: Operation<Args, Given>, args: Args): Given {
    if (!this.supports(operation)) throw unsupported(operation)
    return this.#decider.operateSync(key, operation, args)
  }
}

/** The decider itself if no layer holds permits. */
export function withPermits(decider: Decider, desk: () => Desk): Decider {
  if (!decider.layers.some(holdsPermits)) return decider
  return isSync(decider) ? new SyncPermitDecider(decider, desk()) : new PermitDecider(decider, desk())
}

function unsupported({ method }: AnyOperation): TypeError {
  return method === adjust.method ? endsNothing(method) : holdsNothing(method)
}

function endsNothing(method: string): TypeError {
  return new TypeError(
    `${method} cannot end permits, because only the reservation that holds a permit may end it: use settle or cancel of the reservation`,
  )
}

/** The error for a method that cannot hold permits. */
export function holdsNothing(method: string, instead = 'reserve'): TypeError {
  return new TypeError(`${method} cannot hold permits, because nobody could end them: use ${instead}`)
}
