/** An algorithm of a user's own that says no more than it must runs wherever ours do. */
import {
  type Algorithm,
  AlgorithmLimiter,
  BaseStore,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  type LimitData,
  Quota,
  RedisStore,
  Throttle,
} from 'onrush'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

/** So many units a key, until nobody has asked for a period. */
const quiet: Algorithm<readonly [last: number, used: number]> = {
  id: 'quiet',
  open: (now) => [now, 0],
  roll: (state, now, quota) => (now >= state[0] + quota.period * 1000 ? [now, 0] : state),
  available: (state, _now, quota) => Math.max(quota.limit - state[1], 0),
  spend: (state, quantity, now) => [now, Math.max(state[1] + quantity, 0)],
  resetAfter: (state, now, quota) => (state[1] > 0 ? state[0] + quota.period * 1000 - now : 0),
  retryAfter: (state, _quantity, now, quota) => state[0] + quota.period * 1000 - now,
}

const lua = `
local function open(now) return now, 0 end
local function roll(now, quota, last, used)
  if now >= last + quota.period then return now, 0 end
  return last, used
end
local function available(now, quota, last, used) return max(quota.limit - used, 0) end
local function spend(quantity, now, quota, last, used) return now, max(used + quantity, 0) end
local function resetAfter(now, quota, last, used) return used > 0 and last + quota.period - now or 0 end
return { size = 2, open = open, roll = roll, available = available, spend = spend, resetAfter = resetAfter }
`

class MapStore extends BaseStore {
  readonly #records = new Map<string, LimitData>()

  get(key: string): LimitData | undefined {
    return this.#records.get(key)
  }

  set(key: string, data: LimitData): LimitData {
    this.#records.set(key, data)
    return data
  }

  override currentTime(): number {
    return now
  }
}

const now = 1_800_000_000_000_000
let server: RedisServer
const clock = (): number => now

beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

it('answers the same on all stores, checks, refunds and reservations alike', async () => {
  const redis = new RedisStore({ url: server.url, clock })
  const stores = [new DictionaryStore({ clock }), new MapStore(), redis]
  const answers = await Promise.all(stores.map((store) => story(store)))
  expect(answers[1]).toEqual(answers[0])
  expect(answers[2]).toEqual(answers[0])
  expect(answers[0]).toEqual([4, 2, 0, 0, 3, 1, 4, 5])
  await redis.close()
})

async function story(store: BaseStore): Promise<number[]> {
  const rate = new Quota({ count: 5, period: '1s' })
  const throttle = new Throttle({ limiter: new AlgorithmLimiter({ store, algorithm: quiet, lua }), rate })
  const seen: number[] = []
  seen.push((await throttle.check('k')).remaining)
  seen.push((await throttle.check('k', 2)).remaining)
  seen.push((await throttle.check('k', 2)).remaining)
  seen.push((await throttle.check('k')).remaining)
  seen.push((await throttle.refund('k', 3)).remaining)
  const reservation = await throttle.reserve('k', 2)
  seen.push(reservation.result.remaining)
  seen.push((await reservation.settle(0)).remaining + 1)
  await throttle.clear('k')
  seen.push((await throttle.peek('k')).remaining)
  return seen
}

it('may leave the state that it is given in pieces', async () => {
  const { available, resetAfter, retryAfter } = quiet
  const algorithm: Algorithm<[last: number, used: number]> = {
    ...{ id: 'quiet', available, resetAfter, retryAfter },
    open: (now) => [now, 0],
    roll(state) {
      const [last, used] = state
      state.fill(0)
      return [last, used]
    },
    spend: ([, used], quantity, now) => [now, Math.max(used + quantity, 0)],
  }
  const stores = [new RedisStore({ url: server.url, clock, prefix: 'pieces' }), new DictionaryStore({ clock })]
  for (const store of stores) {
    const limiter = new AlgorithmLimiter({ store, algorithm, lua })
    const throttle = new Throttle({ limiter, rate: Quota.perHour(5) })
    const results = await Promise.all([4, 2, 1, 1].map((quantity) => throttle.check('key', quantity)))
    expect(results.map(({ remaining, limited }) => [remaining, limited])).toEqual([
      [1, false],
      [1, true],
      [0, false],
      [0, true],
    ])
    await store.close()
  }
})

it('shares no record with ours, where calls are sent again', async () => {
  const store = new RedisStore({ url: server.url, resend: true, prefix: 'records', timeout: 20_000 })
  const own = new Throttle({ limiter: new AlgorithmLimiter({ store, algorithm: quiet, lua }), rate: Quota.perHour(10) })
  const ours = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(10) })
  await ours.check('another')
  const results = await Promise.all([own.check('key'), ours.check('key'), own.check('key'), ours.check('key')])
  expect(results.map(({ remaining }) => remaining)).toEqual([9, 9, 8, 8])
  await store.close()
})

it.each([
  ['does not compile', 'return {'],
  ['lacks a function', lua.replace('available = available, ', '')],
])('whose Lua %s is told so, and is no failure of the store', async (_how, faulty) => {
  const primary = new RedisStore({ url: server.url, prefix: 'faulty', timeout: 20_000 })
  const store = new FailoverStore({ primary, fallback: new DictionaryStore(), breaker: { failures: 1 } })
  const limiter = new AlgorithmLimiter({ store, algorithm: quiet, lua: faulty })
  const throttle = new Throttle({ limiter, rate: Quota.perHour(10) })
  await expect(throttle.check('key')).rejects.toThrow(
    /^the Lua implementation of the algorithm 'quiet' failed in Redis: ERR /,
  )
  await expect(throttle.check('key')).rejects.toBeInstanceOf(TypeError)
  expect(store.state).toBe('closed')
  await store.close()
})

it.each(['open', 'roll', 'available', 'spend', 'resetAfter', 'retryAfter'])('must have %s', (name) => {
  const algorithm = { ...quiet, [name]: undefined }
  expect(() => Reflect.construct(AlgorithmLimiter, [{ store: new DictionaryStore(), algorithm }])).toThrow(
    `${name} of the algorithm must be a function`,
  )
})
