/** Puts a throttle's questions to the coalescer. */
import { CENTURY } from '../algorithms/algorithm.ts'
import type { Layer } from '../algorithms/driver.ts'
import { canPromise, type PromisedTurn } from '../algorithms/turns.ts'
import type { RateLimitResult } from '../result.ts'
import type { Decider, Hold, Promised } from '../stores/decider.ts'
import { CompiledLayers } from './call/layers.ts'
import { NO_MARK, type Operation } from './call/request.ts'
import type { RedisConnection } from './clients/client.ts'
import type { DenyCache } from './deny-cache.ts'
import type { KeyNames } from './keys.ts'
import type { Coalescer } from './scheduling/coalescer.ts'

/** What the deciders of a store share. */
export interface DeciderContext {
  readonly coalescer: Coalescer
  readonly connection: RedisConnection
  readonly names: KeyNames
  readonly denials: DenyCache | undefined
}

export class RedisDecider extends CompiledLayers implements Decider {
  readonly known: Decider['known']
  readonly acquire: Decider['acquire']
  readonly #coalescer: Coalescer

  /** @throws TypeError for an algorithm without a Lua implementation. */
  constructor({ coalescer, denials }: DeciderContext, layers: readonly Layer[]) {
    super(layers)
    this.#coalescer = coalescer
    this.known = denials && ((key, quantity) => denials.find(this, key, quantity))
    this.acquire = canPromise(layers) ? (...asked) => this.#acquire(...asked) : undefined
  }

  check(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return this.#coalescer.check(this, key, quantity, signal)
  }

  clear(key: string, signal?: AbortSignal): Promise<RateLimitResult> {
    const cells = this.prepared.map((): [number, number] => [0, 0])
    return this.#operate(key, 'clear', cells, signal)
  }

  refund(key: string, quantity: number, signal?: AbortSignal): Promise<RateLimitResult> {
    return quantity === 0 ? this.check(key, 0, signal) : this.#adjust(key, -quantity, undefined, signal)
  }

  async reserve(key: string, quantity: number, signal?: AbortSignal): Promise<Hold> {
    let marks: readonly number[] = []
    const result = await this.#coalescer.check(this, key, quantity, signal, (told) => {
      marks = told.marks ?? []
    })
    return { result, adjust: (change) => (change === 0 ? this.check(key, 0) : this.#adjust(key, change, marks)) }
  }

  #adjust(
    key: string,
    change: number,
    marks: readonly number[] | undefined,
    signal?: AbortSignal,
  ): Promise<RateLimitResult> {
    const cells = this.prepared.map((_, index): [number, number] => [change, marks?.[index] ?? NO_MARK])
    return this.#operate(key, 'adjust', cells, signal)
  }

  async #acquire(key: string, quantity: number, longest: number, mayTakeVacancy: boolean): Promise<Promised> {
    let promised: PromisedTurn | undefined
    // JSON knows no infinity, and no longer wait is promised.
    const amount = Math.min(longest, CENTURY)
    const cells = this.prepared.map((): [number, number] => [quantity, 0])
    const operation: Operation = { kind: 'acquire', amount, cells, vacancy: [quantity, mayTakeVacancy ? 1 : 0] }
    const result = await this.#coalescer.operate({ decider: this, key, quantity }, operation, false, {
      tell: (told) => {
        promised = told.promised
      },
    })
    const { wait = 0, turn } = promised ?? {}
    const giveUp = async (): Promise<void> => {
      if (turn === undefined) return
      const { start, time, charged } = turn
      const left: Operation = { kind: 'give up', amount: time, cells: charged, vacancy: [turn.quantity, start] }
      await this.#coalescer.operate({ decider: this, key, quantity: 0 }, left, true)
    }
    return { result, wait, giveUp }
  }

  #operate(
    key: string,
    kind: Operation['kind'],
    cells: Operation['cells'],
    signal: AbortSignal | undefined,
  ): Promise<RateLimitResult> {
    return this.#coalescer.operate({ decider: this, key, quantity: 0 }, { kind, amount: 0, cells }, true, { signal })
  }
}
