/** What permits cannot do is refused by name, before anything is sent; what they say in headers; and what other modes make of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, checkAll, DictionaryStore, FailoverStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { rateLimitHeaders } from 'onrush/http'
import { expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

function limited(count: number, store = new DictionaryStore()): Throttle {
  return new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(count) })
}

test('methods that cannot hold a permit are refused, and name the one that can', async () => {
  const throttle = limited(2)
  await expect(throttle.check('key')).rejects.toThrow(/^check cannot hold permits.*use reserve/)
  expect(() => throttle.checkSync('key')).toThrow(/^checkSync cannot hold permits.*use reserve/)
  await expect(throttle.acquire('key')).rejects.toThrow(/^acquire cannot hold permits.*use reserve with maxWait/)
  await expect(throttle.refund('key')).rejects.toThrow(/^refund cannot end permits.*use settle or cancel/)
  await expect(checkAll([{ throttle, key: 'key' }])).rejects.toThrow(/^checkAll cannot hold permits.*use reserveAll/)
  expect(await throttle.check('key', 0)).toMatchObject({ limited: false, remaining: 2 })
  expect(throttle.peekSync('key')).toMatchObject({ limited: false, remaining: 2 })
})

test('options of waiting are refused where they cannot be kept', async () => {
  const throttle = limited(2)
  for (const [options, error] of [
    [{ priority: 6 }, 'priority must be a whole number from -5 to 5, got 6'],
    [{ priority: 0.5 }, 'priority must be a whole number from -5 to 5, got 0.5'],
    [{ maxQueue: -1 }, 'maxQueue must be a non-negative safe integer, got -1'],
    [{ maxWait: -1 }, 'maxWait must be 0 or more milliseconds, got -1'],
    [{ maxHold: 0 }, 'maxHold must be a finite number of milliseconds above 0, got 0'],
  ] as const)
    await expect(throttle.reserve('key', 1, options)).rejects.toThrow(new RangeError(error))
  const store = new DictionaryStore()
  const rates = new Throttle({ store, rate: '5/minute' })
  await expect(rates.reserve('key', 1, { maxWait: 5 })).rejects.toThrow(TypeError)
  const limiter = new ConcurrencyLimiter({ store })
  const two = new Throttle({ limiter, rate: [Quota.concurrent(1, { name: 'a' }), Quota.concurrent(2, { name: 'b' })] })
  await expect(two.reserve('key', 1, { maxWait: 5 })).rejects.toThrow(/one layer of permits, and this throttle has 2/)
  await using both = await two.reserve('key')
  expect(both.result.layers).toMatchObject([{ remaining: 0 }, { remaining: 1 }])
  expect((await two.reserve('key')).result.limited).toBe(true)
})

test('quotas of permits and their limiter belong together', () => {
  const store = new DictionaryStore()
  expect(() => new Throttle({ store, rate: '8 concurrent' })).toThrow(RangeError)
  expect(() => new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.concurrent(8) })).toThrow(
    /ConcurrencyLimiter/,
  )
  expect(() => new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: '8/minute' })).toThrow(RangeError)
  const quota = Quota.concurrent(8, { lease: '20s', name: 'vendor' })
  expect(String(quota)).toBe('8 concurrent lease 20s name vendor')
  expect(Quota.parse(String(quota)).equals(quota)).toBe(true)
  expect(String(Quota.concurrent(8))).toBe('8 concurrent lease 15s')
  expect(Quota.parse('8 concurrent').equals(Quota.concurrent(8))).toBe(true)
  expect(Quota.concurrent(8).share(3).equals(Quota.concurrent(2))).toBe(true)
  expect(Quota.concurrent(8)).toMatchObject({ name: 'concurrent-8', period: 15_000, stateName: 'concurrent-8-15s' })
  for (const lease of [99, '61m']) expect(() => Quota.concurrent(8, { lease })).toThrow(RangeError)
  expect(() => Quota.concurrent(0)).toThrow(RangeError)
})

test('headers tell how many at once, without a window', async () => {
  const throttle = limited(8)
  const { result } = await throttle.reserve('key')
  expect(rateLimitHeaders(result)).toEqual({
    'RateLimit-Policy': '"concurrent-8";q=8;qu="concurrent-requests"',
    RateLimit: '"concurrent-8";r=7',
  })
  await throttle.reserve('key', 7)
  const refused = rateLimitHeaders((await throttle.reserve('key')).result)
  expect(Number(refused['Retry-After'])).toBeGreaterThanOrEqual(1)
})

test('a quota of a given name keeps its permits when its count changes', async () => {
  const store = new DictionaryStore()
  const limiter = new ConcurrencyLimiter({ store })
  const throttle = new Throttle({ limiter, rate: Quota.concurrent(1, { name: 'vendor' }) })
  await using held = await throttle.reserve('key')
  expect(held.result.remaining).toBe(0)
  expect((await throttle.peek('key', { rate: Quota.concurrent(3, { name: 'vendor' }) })).remaining).toBe(2)
})

test('in shadow mode nobody waits and nobody is refused', async () => {
  const store = new DictionaryStore()
  const limiter = new ConcurrencyLimiter({ store })
  const throttle = new Throttle({ limiter, rate: Quota.concurrent(1), shadow: true })
  const first = await throttle.reserve('key')
  const second = await throttle.reserve('key', 1, { maxWait: '1h' })
  expect([first.result, second.result]).toMatchObject([
    { limited: false, wouldLimit: false },
    { limited: false, wouldLimit: true },
  ])
  await second.settle()
  expect((await throttle.peek('key')).remaining).toBe(0)
  await first.settle()
  expect((await throttle.peek('key')).remaining).toBe(1)
})

test('a fallback grants its share, and what each store granted is ended there', async () => {
  const client = suite.client.duplicate({ maxRetriesPerRequest: 0, retryStrategy: () => null })
  const primary = suite.store({ client })
  const fallback = new DictionaryStore()
  const store = new FailoverStore({ primary, fallback, instances: 2, timeout: 500 })
  const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(4) })
  const before = await throttle.reserve('key')
  expect(before.result).toMatchObject({ limited: false, limit: 4, degraded: false })
  client.disconnect()
  const held = await throttle.reserve('key')
  expect(held.result).toMatchObject({ limited: false, limit: 2, remaining: 1, degraded: true })
  const second = await throttle.reserve('key', 1, { maxWait: 10 })
  expect((await throttle.reserve('key', 1, { maxWait: 10 })).result).toMatchObject({ limited: true, degraded: true })
  await held.settle()
  await second.settle()
  const share = new Throttle({ limiter: new ConcurrencyLimiter({ store: fallback }), rate: Quota.concurrent(2) })
  expect((await share.peek('key')).remaining).toBe(2)
  await store.close()
})

test('a store that allows everything holds nothing', async () => {
  const client = suite.client.duplicate({ maxRetriesPerRequest: 0, retryStrategy: () => null })
  const store = new FailoverStore({ primary: suite.store({ client }), fallback: 'allow', timeout: 500 })
  client.disconnect()
  const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
  const all = await Promise.all([1, 2, 3].map(() => throttle.reserve('key')))
  expect(all.map(({ result }) => result.limited)).toEqual([false, false, false])
  for (const one of all) await one.settle()
  await store.close()
})

test('a permit whose reply was lost is ended by its name', async () => {
  const prefix = 'lost-reply'
  const client = suite.client.duplicate()
  const store = suite.store({ prefix, client })
  const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
  const leaving = new AbortController()
  const asked = throttle.reserve('key', 1, { signal: leaving.signal })
  asked.catch(() => {})
  // In flight: it has left, and its answer has not come.
  await new Promise((resolve) => setImmediate(resolve))
  leaving.abort(new Error('left'))
  await expect(asked).rejects.toThrow('left')
  await until('the permit to be free', async () => (await throttle.peek('key')).remaining === 1)
  await sleep(1)
  await store.close()
  client.disconnect()
})
