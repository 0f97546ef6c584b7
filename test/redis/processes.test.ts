/** Several processes at one quota: exactly the allowed number get through. */
import { type BaseStore, Quota, Throttle } from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { LIMITERS, limiterNamed } from '../support/limiters.ts'
import type { Job, JobLayer, JobResult } from '../support/processes/job.ts'
import { Processes } from '../support/processes/processes.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { SwappingStore } from '../support/stores/swapping-store.ts'

const suite = await redisSuite()
const processes = new Processes(4)
afterAll(() => processes.stop())

/** So long that nothing comes back while the tests run. */
const PERIOD = '3653 days'

/** More than 20 in sum over four processes, and ones in the end: whoever is refused more goes on until all is gone. */
const QUANTITIES = [3, 2, 1, 1]

/** A cell rate, a window and a log, decided together. */
const LAYERS: readonly JobLayer[] = [
  { limiter: 'GcraLimiter', rate: `30/${PERIOD}` },
  { limiter: 'FixedWindowLimiter', rate: `20/${PERIOD}` },
  { limiter: 'MovingWindowLimiter', rate: `25/${PERIOD}` },
]

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${index}`)
}

function compete(job: Pick<Job, 'store' | 'throttles' | 'questions'>, prefix = uniquePrefix()): Promise<JobResult[]> {
  return processes.compete({ url: suite.url, prefix, quantities: QUANTITIES, ...job })
}

/** The units admitted of each question, over all processes. */
function sums(results: readonly JobResult[]): number[] {
  return (results[0] ?? []).map((_, index) => results.reduce((sum, result) => sum + (result[index] ?? 0), 0))
}

function storeUnder(prefix: string, kind: Job['store']): BaseStore {
  const redis = suite.store({ prefix })
  return kind === 'redis' ? redis : new SwappingStore(redis)
}

/** The units used in each layer. */
async function used(store: BaseStore, layers: readonly JobLayer[], key: string): Promise<number[]> {
  const throttle = new Throttle({
    layers: layers.map(({ limiter, rate }) => {
      const Limiter = limiterNamed(limiter)
      return { limiter: new Limiter({ store }), rate: Quota.parseAll(rate) }
    }),
  })
  return (await throttle.peek(key)).layers.map(({ limit, remaining }) => limit - remaining)
}

describe.each(LIMITERS)('$name', ({ name }) => {
  const throttles = [[{ limiter: name, rate: `20/${PERIOD}` }]]

  test('admits exactly the limit of each of 200 keys that four processes race for', async () => {
    const questions = keys(200).map((key) => [{ throttle: 0, key }])
    expect(sums(await compete({ store: 'redis', throttles, questions }))).toEqual(keys(200).map(() => 20))
  })

  test('loses no update to another process on a store of one’s own that swaps atomically', async () => {
    const questions = keys(5).map((key) => [{ throttle: 0, key }])
    expect(sums(await compete({ store: 'swapping', throttles, questions }))).toEqual(keys(5).map(() => 20))
  })
})

test('layers of several algorithms admit exactly what the scarcest allows, and spend nothing in the others beyond it', async () => {
  const prefix = uniquePrefix()
  const questions = keys(50).map((key) => [{ throttle: 0, key }])
  const results = await compete({ store: 'redis', throttles: [LAYERS], questions }, prefix)
  expect(sums(results)).toEqual(keys(50).map(() => 20))
  for (const key of keys(50)) expect(await used(storeUnder(prefix, 'redis'), LAYERS, key)).toEqual([20, 20, 20])
})

test.each(['redis', 'swapping'] as const)('checkAll on %s spends in all its subjects or in none', async (store) => {
  const prefix = uniquePrefix()
  const user: JobLayer[] = [{ limiter: 'GcraLimiter', rate: `20/${PERIOD}` }]
  const tenant: JobLayer[] = [{ limiter: 'SlidingWindowCounterLimiter', rate: `50/${PERIOD}` }]
  const questions = keys(6).map((key) => [
    { throttle: 0, key },
    { throttle: 1, key: 'tenant' },
  ])
  const admitted = sums(await compete({ store, throttles: [user, tenant], questions }, prefix))
  const total = admitted.reduce((sum, units) => sum + units)
  const kept = storeUnder(prefix, store)
  expect(await Promise.all(keys(6).map((key) => used(kept, user, key)))).toEqual(admitted.map((units) => [units]))
  expect(await used(kept, tenant, 'tenant')).toEqual([total])
  // A swapping store may refuse early; it never goes over.
  if (store === 'redis') expect(total).toBe(50)
  else expect(total).toBeLessThanOrEqual(50)
})

test('layers on a store of one’s own that swaps atomically are given back where a later one is short', async () => {
  const prefix = uniquePrefix()
  const questions = keys(4).map((key) => [{ throttle: 0, key }])
  const admitted = sums(await compete({ store: 'swapping', throttles: [LAYERS], questions }, prefix))
  const kept = storeUnder(prefix, 'swapping')
  for (const [index, key] of keys(4).entries()) {
    const units = admitted[index] ?? 0
    expect(units).toBeLessThanOrEqual(20)
    expect(await used(kept, LAYERS, key)).toEqual([units, units, units])
  }
})
