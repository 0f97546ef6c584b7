/** A store that answers from a fallback while its primary is unavailable, and marks such answers. */
import type { BlockLayer } from '../../algorithms/block.ts'
import { type Layer, stateNameOf } from '../../algorithms/driver.ts'
import { gcra } from '../../algorithms/gcra.ts'
import { checkFunction, checkInteger, named, notInstance } from '../../arguments.ts'
import { type Duration, positiveMilliseconds, timerMilliseconds } from '../../duration.ts'
import { type FailoverChange, type FailoverState, failovers } from '../../events.ts'
import type { LeaseTerms } from '../../leases/options.ts'
import type { LimitData } from '../../limit-data.ts'
import type { Spent } from '../../operations/reserve.ts'
import { checkOptionNames } from '../../option-names.ts'
import { warnProcess } from '../../process-warning.ts'
import { Quota } from '../../quota.ts'
import type { RateLimitResult } from '../../result.ts'
import { type Awaitable, BaseStore } from '../base.ts'
import type { BlockedKey, BlockedOptions } from '../blocked.ts'
import type { Asked } from '../decider.ts'
import type { Desk } from '../desk.ts'
import { Patience } from '../patience.ts'
import { checkApart } from './apart.ts'
import { closeInTime, resetWhileAnswering } from './both.ts'
import { Breaker, unanswered } from './breaker.ts'
import { degraded, FailoverDecider } from './decider.ts'
import { FailoverDesk } from './desk.ts'
import { BREAKER_OPTIONS, cooldownsOf, type FailoverStoreOptions, fallbackOf, OPTIONS } from './options.ts'

/** The layer of a probe. The rate is so high that no probe is refused, and that the probe's record expires at once. */
const PROBE: Layer = { algorithm: gcra, quota: Quota.perSecond(1_000_000, { name: 'onrush-probe' }), lua: undefined }

/** The key of a probe if the primary has not failed on any particular key. */
const PROBE_KEY = 'onrush-probe'

/**
 * Keeps limiting while the primary store is unavailable. If the primary fails with a `StoreError`, the same call is answered by the fallback,
 * and the result and its layers have `degraded: true`. After several failures in a row only the fallback is asked, until the primary has decided
 * a probe in the background. A wrong configuration (`UnsupportedServerError`, `InvalidStoreUrlError`) is not covered: the call rejects with
 * that error.
 * @example
 * const primary = new RedisStore({ url: 'redis://localhost:6379' })
 * const store = new FailoverStore({ primary, fallback: new TlruCacheStore({ maxSize: 100_000, ttl: '1h' }), instances: 4 })
 * const throttle = new Throttle({ store, rate: '100/minute' })
 */
export class FailoverStore extends BaseStore {
  readonly #primary: BaseStore
  readonly #fallback: BaseStore
  readonly #instances: number
  readonly #patience: Patience
  readonly #breaker: Breaker

  /**
   * Makes the store. Nothing is sent to either store before the first check.
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: FailoverStoreOptions) {
    super()
    checkOptionNames('options of FailoverStore', options, OPTIONS)
    const { primary, fallback, instances = 1, breaker = {}, onChange } = options
    if (!(primary instanceof BaseStore)) throw notInstance('primary must be a store', BaseStore, primary)
    checkInteger('instances', instances, 1)
    checkOptionNames('breaker', breaker, BREAKER_OPTIONS)
    const { failures = 5 } = breaker
    checkInteger('failures', failures, 1)
    if (onChange !== undefined) checkFunction('onChange', onChange)
    const timeout =
      options.timeout === undefined ? primary.answersWithin : timerMilliseconds('timeout', options.timeout)
    this.#primary = primary
    this.#patience = new Patience(timeout)
    this.#instances = instances
    this.#breaker = new Breaker({
      failures,
      ...cooldownsOf(breaker),
      patience: timeout < primary.answersWithin ? this.#patience : undefined,
      probe: (key = PROBE_KEY) => primary.decider([PROBE]).check(key, 1),
      onChange: (change) => {
        if (failovers.hasSubscribers) failovers.publish({ store: this, ...change })
        if (onChange !== undefined) tell(onChange, change)
      },
    })
    this.#fallback = fallbackOf(fallback, () => this.#breaker.nextProbe)
    if (this.#fallback === primary) throw new RangeError('fallback must be another store than primary')
  }

  /** The state of the circuit breaker. 'closed': the primary is asked. 'open': the fallback. 'half-open': the fallback, while a probe runs. */
  get state(): FailoverState {
    return this.#breaker.state
  }

  /** @internal */
  override get isShared(): boolean {
    return this.#primary.isShared
  }

  get(key: string): Promise<LimitData | undefined> {
    return this.#answer((store) => store.get(key), key)
  }

  async set(key: string, data: LimitData, ttl?: Duration): Promise<LimitData> {
    const lifetime = lifetimeOf(ttl)
    return this.#answer((store) => store.set(key, data, lifetime), key)
  }

  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: Duration,
  ): Promise<LimitData> {
    const lifetime = lifetimeOf(ttl)
    return this.#answer((store) => store.compareAndSwap(key, old, data, lifetime), key)
  }

  /** Deletes the record on both stores. */
  override delete(key: string): Promise<void> {
    return this.#breaker.onBoth(
      () => this.#fromPrimary((primary) => primary.delete(key)),
      () => this.#fallback.delete(key),
      undefined,
      key,
    )
  }

  override currentTime(): Promise<number> {
    return this.#answer((store) => store.currentTime())
  }

  /** Resolves with true if the primary or the fallback answers, otherwise with false. */
  override async ping(): Promise<boolean> {
    return (this.state === 'closed' && (await this.#primaryAnswersPing())) || this.#fallback.ping()
  }

  async #primaryAnswersPing(): Promise<boolean> {
    try {
      return await this.#fromPrimary((primary) => primary.ping())
    } catch {
      return false
    }
  }

  /**
   * Deletes all records on both stores. Rejects if either fails, and with a `StoreTimeoutError` if either stops answering, also to a ping.
   */
  override async reset(): Promise<void> {
    await Promise.all([resetWhileAnswering(this.#primary), resetWhileAnswering(this.#fallback)])
  }

  /** The blocked keys of the primary, or of the fallback while the primary is not asked. */
  override blocked(options?: BlockedOptions): AsyncGenerator<BlockedKey, void, undefined> {
    return (this.#breaker.asksPrimary ? this.#primary : this.#fallback).blocked(options)
  }

  /**
   * Closes both stores, and stops probing. Rejects with a `StoreTimeoutError` if a store takes more than twice its `timeout`, or more than a
   * second if that is longer.
   */
  override async close(): Promise<void> {
    this.#breaker.end()
    await Promise.all([closeInTime(this.#primary), closeInTime(this.#fallback)])
  }

  /** @internal */
  protected override makeDesk(): Desk {
    return new FailoverDesk(this.#breaker, this.#primary.desk, this.#fallback.desk, (layer) => this.#share(layer))
  }

  /** @internal */
  protected override makeDecider(layers: readonly Layer[], block?: BlockLayer, lease?: LeaseTerms): FailoverDecider {
    const shares = layers.map((layer) => this.#share(layer))
    checkApart(shares.map(stateNameOf))
    return new FailoverDecider(
      this.#breaker,
      this.#primary.decider(layers, block, lease),
      this.#fallback.decider(shares, block),
    )
  }

  /** @internal */
  override async decideAll(asked: readonly Asked[], signal?: AbortSignal): Promise<RateLimitResult> {
    const { onPrimary, onFallback } = this.#askedOfBoth(asked)
    return this.#breaker.answer(
      () => this.#primary.decideAll(onPrimary, signal),
      async () => degraded(await this.#fallback.decideAll(onFallback, signal)),
      signal,
      asked[0]?.key,
    )
  }

  /** @internal */
  override async reserveAll(asked: readonly Asked[], signal?: AbortSignal): Promise<Spent> {
    const { onPrimary, onFallback } = this.#askedOfBoth(asked)
    const onFallbackStore = async (): Promise<Spent> => {
      const spent = await this.#fallback.reserveAll(onFallback, signal)
      // Later settlements go through these deciders.
      const fallbacks = [...(spent.fallbacks ?? []), ...onFallback.map(({ decider }) => decider)]
      return { ...spent, result: degraded(spent.result), fallbacks }
    }
    const onPrimaryStore = (): Promise<Spent> => this.#primary.reserveAll(onPrimary, signal)
    return this.#breaker.answer(onPrimaryStore, onFallbackStore, signal, asked[0]?.key)
  }

  #askedOfBoth(asked: readonly Asked[]): { onPrimary: Asked[]; onFallback: Asked[] } {
    const onPrimary: Asked[] = []
    const onFallback: Asked[] = []
    for (const { decider, ...question } of asked) {
      if (!(decider instanceof FailoverDecider)) throw new TypeError('checkAll needs all throttles on one store')
      onPrimary.push({ decider: decider.primary, ...question })
      onFallback.push({ decider: decider.fallback, ...question })
    }
    if (this.#instances > 1) {
      checkApart(
        onFallback.flatMap(({ decider, key }) => decider.layers.map((layer) => `${stateNameOf(layer)}:${key}`)),
      )
    }
    return { onPrimary, onFallback }
  }

  /**
   * The sum of both, because the fallback is asked after the primary has timed out.
   * @internal
   */
  override get answersWithin(): number {
    return this.#patience.timeout + this.#fallback.answersWithin
  }

  #answer<T>(ask: (store: BaseStore) => Awaitable<T>, key?: string): Promise<T> {
    return this.#breaker.answer(
      () => this.#fromPrimary(ask),
      () => ask(this.#fallback),
      undefined,
      key,
    )
  }

  /** Applies the timeout here, because direct calls for records on a custom primary have none of their own. */
  #fromPrimary<T>(ask: (primary: BaseStore) => Awaitable<T>): Promise<T> {
    return this.#patience.within(
      () => ask(this.#primary),
      () => unanswered(this.#patience),
    )
  }

  #share(layer: Layer): Layer {
    if (this.#instances === 1) return layer
    const quota = layer.quota.share(this.#instances)
    layer.algorithm.accept?.(quota)
    return { ...layer, quota, whole: layer.whole ?? layer.quota }
  }
}

/** In ms, because custom stores take the ttl as a number only. */
function lifetimeOf(ttl: Duration | undefined): number | undefined {
  return ttl === undefined ? undefined : positiveMilliseconds('ttl', ttl)
}

/** Calls the user's listener. An error in the listener becomes a process warning, because it must not fail a check. */
async function tell(listener: (change: FailoverChange) => unknown, change: FailoverChange): Promise<void> {
  try {
    await listener(change)
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : named(error)
    warnProcess('ONRUSH_ON_CHANGE_FAILED', `onChange of a FailoverStore failed: ${reason}`)
  }
}
