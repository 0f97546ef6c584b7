/** Callers who leave the queue: their starts go to those behind, and to the next caller in any process. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BaseStore, DictionaryStore, FailoverStore, GcraLimiter, Quota, Throttle, TlruCacheStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { MapStore } from '../support/stores/map-store.ts'

const suite = await redisSuite()

/** In µs. */
const clock = () => 1_800_000_000_000_000 + Math.floor(performance.now() * 1000)

function onStore(store: BaseStore, rate: Quota): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate })
}

/** So many stores of one prefix: each has its own queue, as the stores of so many processes have. */
function onRedis(processes: number, rate: Quota): [Throttle, ...Throttle[]] {
  const prefix = uniquePrefix()
  const [first = onStore(suite.store({ prefix }), rate), ...others] = Array.from({ length: processes }, () =>
    onStore(suite.store({ prefix }), rate),
  )
  return [first, ...others]
}

/** ms between two starts. */
const DISTANCE = 50
const RATE = new Quota({ count: 1, period: DISTANCE })
const PATIENCE = 500
const LASTS = 3000

/** How the caller at this place waits: until it leaves, or at most `maxWait`. */
type Ways = readonly ((throttle: Throttle) => Promise<{ readonly limited: boolean }>)[]

const bySignal: Ways[number] = (throttle) =>
  throttle.acquire('key', 1, { signal: AbortSignal.timeout(PATIENCE + Math.round(Math.random() * 50)) })
const byMaxWait: Ways[number] = (throttle) => throttle.acquire('key', 1, { maxWait: PATIENCE })

/** Parts of all starts that there might be, once those have left who came first. */
interface Used {
  /** Where twice as many come as can start. */
  readonly part: number
  /** Where two wait at any time and nobody leaves: a machine that is busy starts callers late, and loses the starts of meanwhile. */
  readonly possible: number
}

async function used(throttles: readonly Throttle[], ways: Ways): Promise<Used> {
  const begin = performance.now()
  const started: number[] = []
  const startedOfPatient: number[] = []
  const waiting: Promise<void>[] = []
  const patient = throttles
    .slice(0, 1)
    .flatMap((throttle) => [throttle, throttle])
    .map(async (throttle) => {
      while (performance.now() - begin < LASTS) {
        await throttle.acquire('nobody leaves')
        startedOfPatient.push(performance.now() - begin)
      }
    })
  for (let asked = 0; performance.now() - begin < LASTS; ) {
    for (; asked < ((performance.now() - begin) / DISTANCE) * 2; asked++) {
      const throttle = throttles[asked % throttles.length]
      const way = ways[Math.floor(asked / throttles.length) % ways.length]
      if (throttle === undefined || way === undefined) throw new Error('nobody asks')
      const start = ({ limited }: { readonly limited: boolean }): void => {
        if (!limited) started.push(performance.now() - begin)
      }
      waiting.push(way(throttle).then(start, () => {}))
    }
    await sleep(5)
  }
  await Promise.all([...waiting, ...patient])
  const from = 2 * PATIENCE
  const [part = 0, possible = 0] = [started, startedOfPatient].map(
    (starts) => starts.filter((at) => at > from && at <= LASTS).length / ((LASTS - from) / DISTANCE),
  )
  return { part, possible }
}

type Stores = readonly (readonly [string, () => readonly Throttle[]])[]

const LEAVING: Stores = [
  ['RedisStore', () => onRedis(1, RATE)],
  ['RedisStore in four processes', () => onRedis(4, RATE)],
  ['DictionaryStore', () => [onStore(new DictionaryStore({ clock }), RATE)]],
  ['a store of one’s own', () => [onStore(new MapStore({ clock }), RATE)]],
]
const MIXED: Stores = [
  ['RedisStore in twelve processes', () => onRedis(12, RATE)],
  ['TlruCacheStore', () => [onStore(new TlruCacheStore({ maxSize: 10, ttl: '1m', clock }), RATE)]],
  ['FailoverStore', () => [onStore(new FailoverStore({ primary: suite.store(), fallback: 'deny' }), RATE)]],
]

test.each([
  ['leave', LEAVING, [bySignal]],
  ['leave, or have said how long they wait,', MIXED, [bySignal, byMaxWait]],
] as const)('callers who %s use nine tenths of the capacity when twice as many come', async (_, stores, ways) => {
  const all = await Promise.all(stores.map(async ([name, open]) => ({ name, ...(await used(open(), ways)) })))
  expect(all.filter(({ part, possible }) => part < 0.9 * Math.min(possible, 1) || part > 1.05)).toEqual([])
})

describe.each([
  ['RedisStore', () => suite.store()],
  ['DictionaryStore', () => new DictionaryStore({ clock })],
])('%s', (_, open) => {
  test('those who stay start in the order in which they came, at the starts of those who left', async () => {
    const period = 300
    const throttle = onStore(open(), new Quota({ count: 1, period }))
    await throttle.acquire('key')
    const begin = performance.now()
    const started: number[] = []
    const leave = new AbortController()
    const waiting = Array.from({ length: 9 }, async (_, who) => {
      // Two of three leave, so that the last caller starts third instead of ninth.
      const signal = who % 3 === 2 ? undefined : leave.signal
      await throttle.acquire('key', 1, { signal }).then(
        () => started.push(who),
        () => {},
      )
    })
    await throttle.peek('key')
    leave.abort()
    await Promise.all(waiting)
    expect(started).toEqual([2, 5, 8])
    expect(performance.now() - begin).toBeGreaterThan(2 * period)
    expect(performance.now() - begin).toBeLessThan(8 * period)
  })

  test('who has said how long it waits is limited at once behind those who may leave', async () => {
    const throttle = onStore(open(), Quota.perHour(1))
    const leave = new AbortController()
    await throttle.check('key')
    const waiting = throttle.acquire('key', 1, { signal: leave.signal }).catch(() => 'left')
    expect(await throttle.acquire('key', 1, { maxWait: 3_700_000 })).toMatchObject({ limited: true })
    leave.abort()
    await expect(waiting).resolves.toBe('left')
    expect((await throttle.peek('key')).retryAfter).toBeLessThanOrEqual(3_600_000)
  })

  test('who leaves while its turn is asked for leaves nothing behind', async () => {
    const throttle = onStore(open(), Quota.perHour(2))
    const leave = new AbortController()
    const waiting = Array.from({ length: 5 }, () => throttle.acquire('key', 1, { signal: leave.signal }))
    leave.abort(new Error('gone'))
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome).toMatchObject({ status: 'rejected' })
    await until('all to be given back', async () => (await throttle.peek('key')).remaining === 2)
  })
})

describe('over several processes', () => {
  /** Waits behind those who wait already. */
  async function wait(throttle: Throttle, signal: AbortSignal): Promise<void> {
    const { resetAfter } = await throttle.peek('key')
    throttle.acquire('key', 1, { signal }).catch(() => {})
    await until('a turn', async () => (await throttle.peek('key')).resetAfter > resetAfter + 1)
  }

  test('the start of one who left goes to who asks next, in another process, and is charged once', async () => {
    const [here, there = here] = onRedis(2, new Quota({ count: 1, period: 1200 }))
    await here.check('key')
    const leave = new AbortController()
    const stay = new AbortController()
    await wait(here, leave.signal)
    await wait(there, stay.signal)
    leave.abort()
    const { resetAfter } = await here.peek('key')
    const begin = performance.now()
    // Behind both there would be more than two periods to wait.
    expect(await here.acquire('key', 1, { maxWait: 1200 })).toMatchObject({ limited: false })
    expect(performance.now() - begin).toBeLessThan(2100)
    expect((await here.peek('key')).resetAfter).toBeLessThanOrEqual(resetAfter)
    stay.abort()
  })

  test('when all have left nothing is used any more, in whatever order they left', async () => {
    const [here, there = here] = onRedis(2, Quota.perHour(1))
    await here.check('key')
    const [ours, theirs] = [new AbortController(), new AbortController()]
    for (let turn = 0; turn < 6; turn++) {
      await wait(here, ours.signal)
      await wait(there, theirs.signal)
    }
    ours.abort()
    await here.peek('key')
    theirs.abort()
    expect((await there.peek('key')).resetAfter).toBeLessThanOrEqual(3_600_000)
  })

  test('a start that nobody takes is forgotten when it has passed', async () => {
    const prefix = uniquePrefix()
    const rate = new Quota({ count: 1, period: 300 })
    const [here, there] = [onStore(suite.store({ prefix }), rate), onStore(suite.store({ prefix }), rate)]
    await here.check('key')
    const [leave, stay] = [new AbortController(), new AbortController()]
    await wait(here, leave.signal)
    await wait(there, stay.signal)
    leave.abort()
    await here.peek('key')
    const kept = await suite.keys(prefix)
    expect(kept.sort()).toEqual([`${prefix}:{key}`, `${prefix}:{key}:vacant:gcra:1-300ms`])
    await until('all keys to be gone', async () => (await suite.keys(prefix)).length === 0)
  })

  test('a start that was cleared with its key is not given away', async () => {
    const [here, there = here] = onRedis(2, Quota.perHour(1))
    await here.check('key')
    const [leave, stay] = [new AbortController(), new AbortController()]
    await wait(here, leave.signal)
    await wait(there, stay.signal)
    leave.abort()
    await here.clear('key')
    expect(await here.acquire('key', 1, { maxWait: 0 })).toMatchObject({ limited: false })
    expect(await here.acquire('key', 1, { maxWait: 3_500_000 })).toMatchObject({ limited: true })
    stay.abort()
  })
})
