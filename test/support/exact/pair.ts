/** A throttle and the exact models of its layers, asked the same at the same instants. */
import fc from 'fast-check'
import {
  type AlgorithmLimiter,
  DictionaryStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  type Quota,
  type RateLimitResult,
  SlidingWindowCounterLimiter,
  Throttle,
} from 'onrush'
import { expect } from 'vitest'
import { type Command, instant, quantity, type Step } from './arbitraries.ts'
import { ExactCalendarSliding, ExactCalendarWindow } from './calendar.ts'
import { ExactGcra } from './gcra.ts'
import { check } from './layers.ts'
import type { ExactModel, ExactResult } from './model.ts'
import { ExactMovingWindow } from './moving-window.ts'
import { ExactSlidingWindowCounter } from './sliding-window-counter.ts'
import { ExactFixedWindow, ExactPeriodic } from './window.ts'

// The same sequences every time. PROPERTY_SEED tries others, PROPERTY_TIMES so many times as many.
fc.configureGlobal({ seed: Number(process.env.PROPERTY_SEED ?? 20_260_101) })

export function runs(usual: number): { numRuns: number } {
  return { numRuns: Math.ceil(usual * Number(process.env.PROPERTY_TIMES ?? 1)) }
}

/** A limiter and its exact model. */
export interface Counting {
  readonly name: string
  readonly Limiter: new (options: { store: DictionaryStore }) => AlgorithmLimiter
  readonly Model: new (quota: Quota) => ExactModel
  /** The most that may be admitted in any span of one period. */
  readonly mostInAPeriod: (limit: bigint, count: bigint) => bigint
}

/** The exact model of a quota, as the limiter counts it. */
export function modelOf({ name, Model }: Pick<Counting, 'name' | 'Model'>, quota: Quota): ExactModel {
  if (quota.calendar === undefined) return new Model(quota)
  return name === SlidingWindowCounterLimiter.name ? new ExactCalendarSliding(quota) : new ExactCalendarWindow(quota)
}

const twice = (limit: bigint) => 2n * limit

export const COUNTINGS: readonly Counting[] = [
  { name: 'GcraLimiter', Limiter: GcraLimiter, Model: ExactGcra, mostInAPeriod: (limit, count) => limit + count },
  { name: 'PeriodicLimiter', Limiter: PeriodicLimiter, Model: ExactPeriodic, mostInAPeriod: twice },
  { name: 'FixedWindowLimiter', Limiter: FixedWindowLimiter, Model: ExactFixedWindow, mostInAPeriod: twice },
  {
    name: 'MovingWindowLimiter',
    Limiter: MovingWindowLimiter,
    Model: ExactMovingWindow,
    mostInAPeriod: (limit) => limit,
  },
  {
    name: 'SlidingWindowCounterLimiter',
    Limiter: SlidingWindowCounterLimiter,
    Model: ExactSlidingWindowCounter,
    mostInAPeriod: (limit) => 2n * limit - 1n,
  },
]

/** A clock that tests set, and a store that reads the clock. */
export class Timeline {
  now: bigint
  readonly store = new DictionaryStore({ clock: () => Number(this.now) })

  constructor(start: bigint) {
    this.now = start
  }
}

export interface Layer {
  readonly counting: Counting
  readonly quota: Quota
}

export class Pair {
  readonly timeline: Timeline
  readonly models: readonly ExactModel[]
  readonly #countings: readonly Counting[]
  #throttle: Throttle
  #last: ExactResult | undefined

  constructor(timeline: Timeline, layers: readonly Layer[]) {
    this.timeline = timeline
    this.models = layers.map(({ counting, quota }) => modelOf(counting, quota))
    this.#countings = layers.map(({ counting }) => counting)
    this.#throttle = this.#makeThrottle()
  }

  get throttle(): Throttle {
    return this.#throttle
  }

  /** The same policies with other numbers. */
  changeQuotas(quotas: readonly Quota[]): void {
    for (const [index, model] of this.models.entries()) model.changeQuota(quotas[index] ?? model.quota)
    this.#throttle = this.#makeThrottle()
  }

  move(step: Step): void {
    this.timeline.now = instant(step, this.timeline.now, this.models, this.#last)
  }

  /** The quantity that a command asks for now. */
  quantityOf({ amount }: Command): bigint {
    return quantity(amount, this.timeline.now, this.models)
  }

  /** Moves, asks, and expects the exact answer. */
  follow(command: Command): ExactResult {
    this.move(command.step)
    return this.check(this.quantityOf(command))
  }

  check(asked: bigint): ExactResult {
    const answered = this.#throttle.checkSync('key', Number(asked))
    const exact = check(this.timeline.now, this.models, asked)
    expectExact(answered, exact)
    this.remember(exact)
    return exact
  }

  peek(): ExactResult {
    return this.check(0n)
  }

  /** The answer that the next step goes by. */
  remember(exact: ExactResult | undefined): void {
    this.#last = exact
  }

  #makeThrottle(): Throttle {
    const { store } = this.timeline
    return new Throttle({
      layers: this.#countings.flatMap(({ Limiter }, index) => {
        const quota = this.models[index]?.quota
        return quota === undefined ? [] : [{ limiter: new Limiter({ store }), rate: quota }]
      }),
    })
  }
}

/** Every field, and every layer's. */
export function expectExact(answered: RateLimitResult, exact: ExactResult): void {
  expect(inMicroseconds(answered, exact)).toEqual(exact)
}

function inMicroseconds(result: RateLimitResult, like: ExactResult): ExactResult {
  const { limited, limit, remaining, resetAfter, nextAfter, retryAfter, quota, layers, blockedUntil } = result
  return {
    limited,
    limit: BigInt(limit),
    remaining: BigInt(remaining),
    resetAfter: BigInt(Math.round(resetAfter * 1000)),
    nextAfter: BigInt(Math.round(nextAfter * 1000)),
    retryAfter: retryAfter === Number.POSITIVE_INFINITY ? 'never' : BigInt(Math.round(retryAfter * 1000)),
    quota,
    ...(blockedUntil === undefined ? {} : { blockedUntil }),
    ...(like.layers === undefined
      ? {}
      : { layers: layers.map((layer, index) => inMicroseconds(layer, like.layers?.[index] ?? like)) }),
  }
}
