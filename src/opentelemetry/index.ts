/**
 * Metrics for OpenTelemetry, from the diagnostics channels of onrush. Attributes never hold keys and have few distinct values, so that
 * cardinality stays low.
 */
import { type Attributes, type MeterProvider, metrics, type ObservableResult } from '@opentelemetry/api'
import { checkInteger } from '../arguments.ts'
import { OnrushError } from '../errors.ts'
import { type BatchEvent, type DecisionEvent, type FailoverEvent, type FailoverState, subscribe } from '../events.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { checkPeerDependency } from '../peer-dependency.ts'

checkPeerDependency('onrush/opentelemetry', '@opentelemetry/api', '1.9')

/** The meter that metrics go to, and the most policies that they distinguish. */
export interface MetricsOptions {
  /** Where the meter comes from. Default: the global one. */
  readonly meterProvider?: MeterProvider | undefined
  /** How many policies are told apart by name; those seen later are `other`. A positive integer. Default 100. */
  readonly maxPolicies?: number | undefined
}

const OPTIONS = optionNames<MetricsOptions>({ meterProvider: true, maxPolicies: true })

/** Buckets in seconds, from a decision in the process to the longest usual timeout. */
const DURATION_BOUNDARIES = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
]
const SIZE_BOUNDARIES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

/**
 * Starts recording `onrush.checks`, `onrush.check.duration`, `onrush.batch.checks`, `onrush.batch.keys`,
 * `onrush.batch.duration`, `onrush.lease.units`, `onrush.failover.changes`, `onrush.failover.stores` and `onrush.script.loads`.
 * @returns a function that stops recording
 * @throws TypeError or RangeError for wrong options
 */
export function recordMetrics(options: MetricsOptions = {}): () => void {
  checkOptionNames('options of recordMetrics', options, OPTIONS)
  const { meterProvider = metrics, maxPolicies = 100 } = options
  checkInteger('maxPolicies', maxPolicies, 1)
  const meter = meterProvider.getMeter('onrush')
  const policyOf = bounded(maxPolicies)
  const seconds = (description: string) => ({
    description,
    unit: 's',
    advice: { explicitBucketBoundaries: DURATION_BOUNDARIES },
  })
  const size = (description: string, unit: string) => ({
    description,
    unit,
    advice: { explicitBucketBoundaries: SIZE_BOUNDARIES },
  })

  const checks = meter.createCounter('onrush.checks', {
    description: 'Checks that were decided or failed',
    unit: '{check}',
  })
  const checkDuration = meter.createHistogram('onrush.check.duration', seconds('Time from a check to its answer'))
  const batchChecks = meter.createHistogram(
    'onrush.batch.checks',
    size('Checks that one call to Redis decided', '{check}'),
  )
  const batchKeys = meter.createHistogram('onrush.batch.keys', size('Keys that one call to Redis read', '{key}'))
  const batchDuration = meter.createHistogram('onrush.batch.duration', seconds('Time of one call to Redis'))
  const leased = meter.createCounter('onrush.lease.units', {
    description: 'Units of leases that have ended',
    unit: '{unit}',
  })
  const changes = meter.createCounter('onrush.failover.changes', {
    description: 'Changes of state of failover stores',
    unit: '{change}',
  })
  const stores = meter.createObservableGauge('onrush.failover.stores', {
    description: 'Failover stores that are not closed',
    unit: '{store}',
  })
  const loads = meter.createCounter('onrush.script.loads', {
    description: 'Scripts that a server did not know and was given',
    unit: '{script}',
  })

  const away = new AwayStores()
  const observe = (result: ObservableResult): void => {
    for (const [state, count] of away.count()) result.observe(count, { 'onrush.state': state })
  }
  stores.addCallback(observe)

  const stops = [
    subscribe('onrush:decision', (event) => {
      // A peek is not a decision, so it is not counted.
      if (event.quantity === 0 && !event.method.startsWith('reserve')) return
      const attributes = outcomeOf(event)
      checks.add(1, { ...attributes, 'onrush.policy': policyOf(event.policy) })
      checkDuration.record(event.duration / 1000, { ...attributes, 'onrush.method': event.method })
    }),
    subscribe('onrush:batch', (event) => {
      const attributes = 'error' in event ? errorOf(event) : {}
      batchChecks.record(event.checks, attributes)
      batchKeys.record(event.keys, attributes)
      batchDuration.record(event.duration / 1000, attributes)
    }),
    subscribe('onrush:lease', ({ policy, used, lapsed }) => {
      const attributes = { 'onrush.policy': policyOf(policy) }
      if (used > 0) leased.add(used, { ...attributes, 'onrush.lease.outcome': 'used' })
      if (lapsed > 0) leased.add(lapsed, { ...attributes, 'onrush.lease.outcome': 'lapsed' })
    }),
    subscribe('onrush:failover', (event) => {
      away.take(event)
      changes.add(1, { 'onrush.state': event.state })
    }),
    subscribe('onrush:script', () => loads.add(1)),
  ]
  return () => {
    for (const stop of stops) stop()
    stores.removeCallback(observe)
  }
}

function outcomeOf(event: DecisionEvent): Attributes {
  const { result } = event
  if (result === undefined) return { 'onrush.outcome': 'error', 'onrush.degraded': false, ...errorOf(event) }
  const outcome = result.limited ? 'limited' : result.wouldLimit ? 'would_limit' : 'admitted'
  return { 'onrush.outcome': outcome, 'onrush.degraded': result.degraded }
}

/** The code of an onrush error. Other errors are all `_OTHER`, because their names are unbounded. */
function errorOf({ error }: DecisionEvent | BatchEvent): Attributes {
  return { 'error.type': error instanceof OnrushError ? error.code : '_OTHER' }
}

/** Keeps the first `most` names; all later ones become `other`. */
function bounded(most: number): (name: string) => string {
  const known = new Set<string>()
  return (name) => {
    if (!known.has(name) && known.size >= most) return 'other'
    known.add(name)
    return name
  }
}

/** Failover stores whose circuit is not closed. Weak, so that a store dropped during an outage is no longer counted. */
class AwayStores {
  readonly #stores = new Set<WeakRef<FailoverEvent['store']>>()

  take({ store, state }: FailoverEvent): void {
    const known = [...this.#stores].find((one) => one.deref() === store)
    if (state === 'closed') {
      if (known !== undefined) this.#stores.delete(known)
    } else if (known === undefined) this.#stores.add(new WeakRef(store))
  }

  count(): Map<FailoverState, number> {
    const counts = new Map<FailoverState, number>([
      ['open', 0],
      ['half-open', 0],
    ])
    for (const one of this.#stores) {
      const store = one.deref()
      if (store === undefined) this.#stores.delete(one)
      else counts.set(store.state, (counts.get(store.state) ?? 0) + 1)
    }
    return counts
  }
}
