/** Scripts that vanish under load: nobody sees an error, and no decision is lost or made twice. */
import { Redis } from 'ioredis'
import { type BaseStore, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { ExpiryWatch } from '../support/redis/expiry-watch.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { SwappingStore } from '../support/stores/swapping-store.ts'

const PERIOD = '3653 days'

let server: RedisServer
let watch: ExpiryWatch

beforeAll(async () => {
  server = await startRedis()
  watch = new ExpiryWatch(server.url)
})

afterAll(async () => {
  expect(await server.information('errorstats'), 'the server missed no script').toMatch(
    /errorstat_NOSCRIPT:count=\d{2}/,
  )
  expect(await watch.stop(), 'keys without a TTL').toEqual([])
  await server.stop()
})

function store(prefix: string): RedisStore {
  const made = new RedisStore({ url: server.url, prefix, timeout: 20_000 })
  onTestFinished(() => made.close())
  return made
}

/** Flushes all scripts, without a pause, until `work` is done. */
async function whileFlushing<T>(work: Promise<T>): Promise<T> {
  const client = new Redis(server.url)
  let working = true
  const flushing = (async () => {
    while (working) await client.script('FLUSH')
  })()
  try {
    return await work
  } finally {
    working = false
    await flushing
    client.disconnect()
  }
}

test('close answers what was asked before it, also where the server does not know the script', async () => {
  const own = store(uniquePrefix())
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: own }), rate: Quota.parse(`1000/${PERIOD}`) })
  await throttle.check('key')
  await server.command('SCRIPT', 'FLUSH')
  const checks = Array.from({ length: 300 }, (_, index) => throttle.check(`key ${index}`))
  await own.close()
  expect((await Promise.all(checks)).map(({ remaining }) => remaining)).toEqual(checks.map(() => 999))
})

/** How many of `rounds` checks a key were admitted, asked by three clients at once, a few keys at a time. */
async function admitted(stores: readonly BaseStore[], throttleOn: (store: BaseStore) => Throttle, rounds: number) {
  const counts = await Promise.all(
    stores.map(async (each) => {
      const throttle = throttleOn(each)
      let count = 0
      for (let round = 0; round < rounds; round++) {
        const results = await Promise.all(['a', 'b', 'a'].map((key) => throttle.check(key)))
        count += results.filter(({ limited }) => !limited).length
      }
      return count
    }),
  )
  return counts.reduce((sum, count) => sum + count)
}

describe.each(LIMITERS)('$name', ({ Limiter }) => {
  test('admits exactly the limit while scripts are flushed', async () => {
    const prefix = uniquePrefix()
    const stores = [store(prefix), store(prefix), store(prefix)]
    const quota = Quota.parse(`100/${PERIOD}`)
    const throttleOn = (each: BaseStore) => new Throttle({ limiter: new Limiter({ store: each }), rate: quota })
    // 120 of b and 240 of a are asked for.
    expect(await whileFlushing(admitted(stores, throttleOn, 40))).toBe(200)
  })
})

test('a decision is made once, also when its script had to be sent again', async () => {
  const prefix = uniquePrefix()
  const stores = [store(prefix), store(prefix), store(prefix)]
  const layers = (each: BaseStore) =>
    new Throttle({
      layers: LIMITERS.map(({ Limiter }) => ({
        limiter: new Limiter({ store: each }),
        rate: Quota.parse(`1000/${PERIOD}`),
      })),
    })
  expect(await whileFlushing(admitted(stores, layers, 40))).toBe(360)
  const [first] = stores
  const peeked = first === undefined ? [] : await Promise.all(['a', 'b'].map((key) => layers(first).peek(key)))
  expect(peeked.map((result) => result.layers.map(({ remaining }) => 1000 - remaining))).toEqual([
    [240, 240, 240, 240, 240],
    [120, 120, 120, 120, 120],
  ])
})

test('swaps of records are made once while scripts are flushed', async () => {
  const prefix = uniquePrefix()
  const stores = [new SwappingStore(store(prefix)), new SwappingStore(store(prefix))]
  const throttleOn = (each: BaseStore) =>
    new Throttle({ limiter: new GcraLimiter({ store: each }), rate: Quota.parse(`30/${PERIOD}`) })
  expect(await whileFlushing(admitted(stores, throttleOn, 20))).toBe(60)
})
