/** The decider of one throttle on Redis: turns its checks and operations into requests to the coalescer. */
import type { BlockLayer } from '../algorithms/block.ts'
import type { Layer } from '../algorithms/driver.ts'
import type { Terms } from '../algorithms/terms.ts'
import type { Answer, AnyOperation, Operation } from '../operations/operation.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider } from '../stores/decider.ts'
import { CompiledLayers } from './call/layers.ts'
import type { StateNames } from './call/state-names.ts'
import type { RedisConnection } from './clients/client.ts'
import type { DenyCache } from './deny-cache.ts'
import type { KeyNames } from './keys.ts'
import type { RedisLeases } from './leases.ts'
import type { Coalescer } from './scheduling/coalescer.ts'

/** Shared by all deciders of a store. */
export interface DeciderContext {
  readonly coalescer: Coalescer
  readonly connection: RedisConnection
  readonly names: KeyNames
  readonly denyCache: DenyCache | undefined
  readonly stateNames: StateNames
  readonly leases: RedisLeases
}

export class RedisDecider extends CompiledLayers implements Decider {
  readonly known: Decider['known']
  readonly #coalescer: Coalescer

  /** @throws TypeError for an algorithm without a Lua implementation. */
  constructor({ coalescer, denyCache }: DeciderContext, layers: readonly Layer[], block?: BlockLayer) {
    super(layers, block)
    this.#coalescer = coalescer
    this.known = denyCache && ((key, quantity, terms) => denyCache.find(this, key, quantity, terms))
  }

  check(key: string, quantity: number, signal?: AbortSignal, terms?: Terms): Promise<RateLimitResult> {
    return this.#coalescer.check(this, key, quantity, signal, terms)
  }

  /** Answers what the deny cache knows. */
  checkNow(key: string, quantity: number): RateLimitResult | undefined {
    return this.known?.(key, quantity)
  }

  operate<Args, Given extends Answer>(
    key: string,
    operation: Operation<Args, Given>,
    args: Args,
    signal?: AbortSignal,
  ): Promise<Given> {
    if (operation.looks?.(args) === true) return this.check(key, 0, signal).then((result) => operation.answered(result))
    return this.#coalescer.operate(this, key, operation, args, signal)
  }

  supports(operation: AnyOperation): boolean {
    return operation.suits?.(this.layers) ?? true
  }
}
