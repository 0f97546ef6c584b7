/** What is true of onrush in every runtime: each case resolves, or throws what is wrong. */
import {
  ConcurrencyLimiter,
  DictionaryStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  RedisStore,
  subscribe,
  Throttle,
  ThrottleExceededError,
  throttled,
} from 'onrush'
import { rateLimit } from 'onrush/fetch'
import { clientIp } from 'onrush/http'

function equal(found, expected) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)]
  if (left !== right) throw new Error(`expected ${right}, found ${left}`)
}

async function errorOf(work) {
  try {
    await work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

async function blocking(store) {
  const throttle = new Throttle({ store, rate: '9/minute', blocks: true })
  await throttle.block('key', '1h')
  const { limited, remaining, retryAfter, blockedUntil } = await throttle.check('key')
  equal([limited, remaining, Math.ceil(retryAfter / 60_000)], [true, 0, 60])
  const length = blockedUntil - Date.now()
  if (Math.abs(length - 3_600_000) > 60_000) throw new Error(`the block lasts ${length} ms`)
  const other = await throttle.check('other')
  equal([other.limited, other.blockedUntil], [false, undefined])
  await throttle.unblock('key')
  equal((await throttle.check('key')).remaining, 8)
}

/** Cases that need no Redis. */
export const IN_PROCESS = {
  async 'a store in the process counts exactly'() {
    const throttle = new Throttle({ store: new DictionaryStore(), rate: '5/hour' })
    const results = await Promise.all(Array.from({ length: 9 }, () => throttle.check('key')))
    equal(results.filter(({ limited }) => !limited).length, 5)
    equal(throttle.checkSync('other').remaining, 4)
  },
  async 'the clock tells the time of the day'() {
    const store = new DictionaryStore()
    const now = await store.currentTime()
    if (Math.abs(now / 1000 - Date.now()) > 60_000) throw new Error(`it is ${now}`)
    const result = new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: Quota.perHour(5) }).checkSync('key')
    const end = result.resetsAt().getTime() % 3_600_000
    if (Math.min(end, 3_600_000 - end) > 60_000) throw new Error(`a window of an hour ends at ${end} ms of an hour`)
  },
  async 'a quota of the calendar ends with its month'() {
    const throttle = new Throttle({
      limiter: new FixedWindowLimiter({ store: new DictionaryStore() }),
      rate: Quota.perMonth(5, { timeZone: 'Europe/Berlin' }),
    })
    const { remaining, resetAfter } = await throttle.check('key')
    equal(remaining, 4)
    if (!(resetAfter > 0 && resetAfter <= 31 * 86_400_000 + 3_600_000)) throw new Error(`resetAfter is ${resetAfter}`)
  },
  async 'permits are held and freed'() {
    const limiter = new ConcurrencyLimiter({ store: new DictionaryStore() })
    const throttle = new Throttle({ limiter, rate: Quota.concurrent(1) })
    const held = await throttle.reserve('key')
    equal([held.result.limited, (await throttle.reserve('key')).result.limited], [false, true])
    await held.settle()
    const next = await throttle.reserve('key')
    equal(next.result.limited, false)
    await next.cancel()
  },
  'a blocked key is refused until its block is lifted': () => blocking(new DictionaryStore()),
  async 'events reach their subscribers'() {
    const told = []
    const end = subscribe('onrush:decision', ({ policy }) => told.push(policy))
    await new Throttle({ store: new DictionaryStore(), rate: '5/hour name told' }).check('key')
    end()
    equal(told, ['told'])
  },
  async 'a wrapped function rejects when limited, and waits when asked to'() {
    const throttle = new Throttle({ store: new DictionaryStore(), rate: '1/50ms' })
    const work = throttled(throttle, { key: 'work' })(async () => 'done')
    equal(await work(), 'done')
    equal((await errorOf(work)) instanceof ThrottleExceededError, true)
    equal(await work.sleepAndRetry(), 'done')
  },
  async 'the fetch wrapper answers 429 with problem details'() {
    const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/hour name api' })
    const handler = rateLimit({ throttle, key: () => 'ann' })(() => new Response('hello'))
    const responses = []
    for (let time = 0; time < 3; time++) responses.push(await handler(new Request('http://localhost/')))
    equal(
      responses.map(({ status }) => status),
      [200, 200, 429],
    )
    equal(responses[0].headers.get('ratelimit-policy'), '"api";q=2;w=3600')
    equal((await responses[2].json()).title, 'Quota Exceeded')
  },
  async 'counted gives back what does not count'() {
    const throttle = new Throttle({ store: new DictionaryStore(), rate: '1/hour' })
    const handler = rateLimit({ throttle, key: () => 'ann', counted: 'failed' })(() => new Response('hello'))
    for (let time = 0; time < 3; time++) equal((await handler(new Request('http://localhost/'))).status, 200)
  },
  async 'addresses are read'() {
    const of = (remoteAddress) => clientIp({ remoteAddress })
    equal(
      [of('192.0.2.1'), of('::ffff:192.0.2.1'), of('2001:db8:1:2345::7')],
      ['192.0.2.1', '192.0.2.1', '2001:db8:1:2300::/56'],
    )
    equal((await errorOf(() => of('300.1.1.1'))) instanceof TypeError, true)
  },
  async 'a wrong argument is named'() {
    const error = await errorOf(() => new Throttle({ store: { get: 1 }, rate: '1/s' }))
    if (!/got \{ get/.test(error.message)) throw new Error(error.message)
  },
}

/** Cases on a Redis, by a function that makes a store. */
export function onRedis(makeStore) {
  const prefix = () => `rt-${crypto.randomUUID()}`
  const using = async (work, options = {}) => {
    const store = makeStore({ prefix: prefix(), timeout: '20s', ...options })
    try {
      await work(store)
    } finally {
      await store.close()
    }
  }
  return {
    'exactly the limit is admitted of many checks at once': () =>
      using(async (store) => {
        const throttle = new Throttle({ store, rate: '50/hour' })
        const results = await Promise.all(Array.from({ length: 200 }, (_, index) => throttle.check(`key:${index % 2}`)))
        equal(results.filter(({ limited }) => !limited).length, 100)
        equal((await throttle.check('ключ'.repeat(100))).remaining, 49)
      }),
    'several quotas and algorithms are decided together': () =>
      using(async (store) => {
        const throttle = new Throttle({
          layers: [
            { limiter: new GcraLimiter({ store }), rate: '5/hour' },
            { limiter: new MovingWindowLimiter({ store }), rate: '3/day' },
          ],
        })
        const results = [await throttle.check('key', 3), await throttle.check('key')]
        equal(
          results.map(({ limited, remaining }) => [limited, remaining]),
          [
            [false, 0],
            [true, 0],
          ],
        )
        await throttle.clear('key')
        equal((await throttle.peek('key')).remaining, 3)
      }),
    'units are reserved and settled, and turns waited for': () =>
      using(async (store) => {
        const throttle = new Throttle({ store, rate: '10/hour' })
        const ticket = await throttle.reserve('key', 8)
        await ticket.settle(2)
        equal((await throttle.peek('key')).remaining, 8)
        const paced = new Throttle({ store, rate: '1/100ms' })
        await Promise.all([paced.acquire('turn'), paced.acquire('turn'), paced.acquire('turn')])
      }),
    'permits are held, waited for and freed': () =>
      using(async (store) => {
        const throttle = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(1) })
        const held = await throttle.reserve('key')
        equal([held.result.limited, (await throttle.reserve('key')).result.limited], [false, true])
        const waiting = throttle.reserve('key', 1, { maxWait: '15s' })
        await held.settle()
        const next = await waiting
        equal(next.result.limited, false)
        await next.settle()
      }),
    'a quota of the calendar is counted': () =>
      using(async (store) => {
        const throttle = new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: Quota.perMonth(5) })
        equal((await throttle.check('key')).remaining, 4)
      }),
    'a blocked key is refused until its block is lifted': () => using(blocking),
    'it tells the time, and that it can be reached': () =>
      using(async (store) => {
        equal(await store.ping(), true)
        const now = await store.currentTime()
        if (Math.abs(now / 1000 - Date.now()) > 60_000) throw new Error(`it is ${now}`)
      }),
  }
}

/** Runs cases one after another; resolves to lines, `ok` or what is wrong. */
export async function run(title, cases) {
  const lines = []
  for (const [name, work] of Object.entries(cases)) {
    const said = await work().then(
      () => 'ok',
      (error) => `FAILED: ${error?.stack ?? error}`,
    )
    lines.push(`${title}: ${name}: ${said}`)
  }
  return lines
}

export { RedisStore }
