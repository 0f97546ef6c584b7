/** The metrics as an OpenTelemetry SDK exports them, of checks on a real Redis. */
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { checkAll, FailoverStore, GcraLimiter, Quota, RedisStore, Throttle, type ThrottleOptions } from 'onrush'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type MetricsOptions, recordMetrics } from '../../src/opentelemetry/index.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'
import { FlakyStore } from '../support/stores/flaky-store.ts'

const { url } = await sharedRedis()
let store: RedisStore

beforeEach(async () => {
  store = new RedisStore({ url, prefix: uniquePrefix(), timeout: 20_000 })
  await store.ping()
})

afterEach(() => store.close())

interface Point {
  readonly attributes: object
  readonly value: unknown
}

/** Records into an SDK of its own; what it would export comes by the metric's name. */
function recorded(options: Omit<MetricsOptions, 'meterProvider'> = {}) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  const stop = recordMetrics({ ...options, meterProvider })
  onTestFinished(async () => {
    stop()
    await meterProvider.shutdown()
  })
  return {
    stop,
    async points(name: string): Promise<Point[]> {
      await meterProvider.forceFlush()
      const metrics =
        exporter
          .getMetrics()
          .at(-1)
          ?.scopeMetrics.flatMap((scope) => scope.metrics) ?? []
      const metric = metrics.find(({ descriptor }) => descriptor.name === name)
      return metric?.dataPoints.map(({ attributes, value }) => ({ attributes, value })) ?? []
    },
  }
}

function throttleOn(count: number, options: Pick<ThrottleOptions, 'shadow'> = {}): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(count), ...options })
}

function outcome(name: string, policy: string, degraded = false): object {
  return { 'onrush.outcome': name, 'onrush.policy': policy, 'onrush.degraded': degraded }
}

test('checks are counted by outcome and policy', async () => {
  const { points } = recorded()
  const [small, large, shadow] = [throttleOn(2), throttleOn(50), throttleOn(3, { shadow: true })]
  await Promise.all(Array.from({ length: 5 }, () => small.check('ada')))
  await shadow.check('ada', 4)
  await small.peek('ada')
  await checkAll([
    { throttle: large, key: 'ada' },
    { throttle: small, key: 'bob' },
  ])
  expect(await points('onrush.checks')).toEqual([
    { attributes: outcome('admitted', '2-1h'), value: 3 },
    { attributes: outcome('limited', '2-1h'), value: 3 },
    { attributes: outcome('would_limit', '3-1h'), value: 1 },
  ])
})

test('a failed check is counted with the code of its error', async () => {
  const { points } = recorded()
  const broken = new FlakyStore()
  broken.away = true
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: broken }), rate: Quota.perHour(5) })
  await expect(throttle.check('ada')).rejects.toThrow('away')
  const attributes = { ...outcome('error', '5-1h'), 'error.type': 'ONRUSH_STORE_UNAVAILABLE' }
  expect(await points('onrush.checks')).toEqual([{ attributes, value: 1 }])
})

test('names of policies beyond the bound become one', async () => {
  const { points } = recorded({ maxPolicies: 2 })
  for (const count of [1, 2, 3, 4, 5, 2]) await throttleOn(count).check(`user:${count}`)
  expect(await points('onrush.checks')).toEqual([
    { attributes: outcome('admitted', '1-1h'), value: 1 },
    { attributes: outcome('admitted', '2-1h'), value: 2 },
    { attributes: outcome('admitted', 'other'), value: 3 },
  ])
})

test('durations are in seconds, by how it was asked', async () => {
  const { points } = recorded()
  const started = performance.now()
  await throttleOn(10).check('ada')
  await (await throttleOn(10).reserve('ada')).cancel()
  const seconds = (performance.now() - started) / 1000
  const durations = await points('onrush.check.duration')
  expect(durations.map(({ attributes }) => attributes)).toEqual([
    { 'onrush.outcome': 'admitted', 'onrush.degraded': false, 'onrush.method': 'check' },
    { 'onrush.outcome': 'admitted', 'onrush.degraded': false, 'onrush.method': 'reserve' },
  ])
  for (const { value } of durations) {
    expect(value).toMatchObject({ count: 1 })
    expect(value).toHaveProperty('sum', expect.any(Number))
    expect((value as { sum: number }).sum).toBeLessThanOrEqual(seconds)
  }
})

test('calls to Redis are measured: their checks, their keys, their time', async () => {
  const { points } = recorded()
  const throttle = throttleOn(100)
  await Promise.all(Array.from({ length: 90 }, (_, index) => throttle.check(`user:${index % 30}`)))
  expect(await points('onrush.batch.checks')).toMatchObject([{ attributes: {}, value: { count: 1, sum: 90 } }])
  expect(await points('onrush.batch.keys')).toMatchObject([{ attributes: {}, value: { count: 1, sum: 30 } }])
  expect(await points('onrush.batch.duration')).toMatchObject([{ attributes: {}, value: { count: 1 } }])
})

test('scripts that a server was given are counted', async () => {
  const { points } = recorded()
  const server = await sharedRedis()
  await server.command('SCRIPT', 'FLUSH')
  await throttleOn(10).check('ada')
  expect(await points('onrush.script.loads')).toEqual([{ attributes: {}, value: 1 }])
})

test('failovers are counted, and stores that are away are told by state', async () => {
  const { points } = recorded()
  const primary = new FlakyStore()
  const failover = new FailoverStore({ primary, fallback: store, breaker: { failures: 1, cooldown: 60_000 } })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: failover }), rate: Quota.perHour(10) })
  onTestFinished(() => failover.close())
  const away = (open: number) => [
    { attributes: { 'onrush.state': 'open' }, value: open },
    { attributes: { 'onrush.state': 'half-open' }, value: 0 },
  ]
  await throttle.check('ada')
  expect(await points('onrush.failover.stores')).toEqual(away(0))
  primary.away = true
  await throttle.check('ada')
  expect(await points('onrush.failover.stores')).toEqual(away(1))
  expect(await points('onrush.failover.changes')).toEqual([{ attributes: { 'onrush.state': 'open' }, value: 1 }])
  expect(await points('onrush.checks')).toEqual([
    { attributes: outcome('admitted', '10-1h'), value: 1 },
    { attributes: outcome('admitted', '10-1h', true), value: 1 },
  ])
})

test('a store that has come back is away no longer', async () => {
  const { points } = recorded()
  const primary = new FlakyStore()
  const { promise, resolve } = withResolvers()
  const failover = new FailoverStore({
    primary,
    fallback: 'allow',
    breaker: { failures: 1, cooldown: 5 },
    onChange: ({ state }) => state === 'closed' && resolve(),
  })
  onTestFinished(() => failover.close())
  primary.away = true
  await new Throttle({ limiter: new GcraLimiter({ store: failover }), rate: Quota.perHour(10) }).check('ada')
  primary.away = false
  await promise
  expect((await points('onrush.failover.stores')).map(({ value }) => value)).toEqual([0, 0])
})

test('no attribute holds a key', async () => {
  const { points } = recorded()
  await throttleOn(10).check('ada@example.com')
  for (const name of ['onrush.checks', 'onrush.check.duration', 'onrush.batch.checks', 'onrush.batch.duration']) {
    const found = await points(name)
    expect(found).toHaveLength(1)
    expect(JSON.stringify(found)).not.toContain('ada')
  }
})

test('what is stopped records no more', async () => {
  const { points, stop } = recorded()
  await throttleOn(10).check('ada')
  stop()
  await throttleOn(10).check('ada')
  expect(await points('onrush.checks')).toMatchObject([{ value: 1 }])
})

test('options are checked', () => {
  expect(() => recordMetrics({ maxPolicies: 0 })).toThrow(RangeError)
})

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

test('units of leases are counted by what has become of them', async () => {
  const { points } = recorded()
  const leasing = new Throttle({ store, rate: Quota.perHour(10_000, { name: 'leased' }), lease: '10s' })
  const ask = (count: number) => Promise.all(Array.from({ length: count }, () => leasing.check('ada')))
  for (let round = 0; round < 20 && leasing.checkNow('ada') === undefined; round++) await ask(100)
  expect(leasing.checkNow('ada')).toMatchObject({ source: 'lease' })
  await leasing.clear('ada')
  const found = new Map(
    (await points('onrush.lease.units')).map(({ attributes, value }) => [JSON.stringify(attributes), value]),
  )
  const counted = (outcome: string) =>
    found.get(JSON.stringify({ 'onrush.policy': 'leased', 'onrush.lease.outcome': outcome }))
  expect(counted('used')).toBe(2)
  expect(counted('lapsed')).toBeGreaterThan(2)
})
