/** What holds of blocked keys and lock-outs on every store. */
import {
  type BaseStore,
  type BlockedKey,
  checkAll,
  DictionaryStore,
  FailoverStore,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  Throttle,
  TlruCacheStore,
} from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { MapStore } from '../support/stores/map-store.ts'

const START = 1_700_000_000_000_000
const MINUTE = 60_000_000

const suite = await redisSuite()
const opened: BaseStore[] = []
afterAll(async () => {
  await Promise.all(opened.map((store) => store.close()))
})

interface Scene {
  readonly store: BaseStore
  /** µs. */
  now: number
}

interface Kind {
  readonly name: string
  readonly make: (clock: () => number) => BaseStore
}

const KINDS: readonly Kind[] = [
  { name: 'DictionaryStore', make: (clock) => new DictionaryStore({ clock }) },
  { name: 'TlruCacheStore', make: (clock) => new TlruCacheStore({ maxSize: 1000, ttl: '1d', clock }) },
  { name: 'a store of your own', make: (clock) => new MapStore({ clock }) },
  { name: 'RedisStore', make: (clock) => suite.store({ clock }) },
  { name: 'RedisStore with a deny cache', make: (clock) => suite.store({ clock, denyCache: { maxSize: 100 } }) },
  {
    name: 'FailoverStore',
    make: (clock) => new FailoverStore({ primary: suite.store({ clock }), fallback: new DictionaryStore({ clock }) }),
  },
]

function sceneOn({ make }: Kind): Scene {
  const scene: { store: BaseStore; now: number } = { store: new DictionaryStore(), now: START }
  scene.store = make(() => scene.now)
  opened.push(scene.store)
  return scene
}

async function listOf(blocked: AsyncIterable<BlockedKey>): Promise<BlockedKey[]> {
  const list: BlockedKey[] = []
  for await (const one of blocked) list.push(one)
  return list
}

async function times(count: number, check: () => Promise<RateLimitResult>): Promise<boolean[]> {
  const results = await Promise.all(Array.from({ length: count }, check))
  return results.map(({ limited }) => limited)
}

describe.each(KINDS)('on $name', (kind) => {
  test('a blocked key is refused everything until its block ends, and nothing is spent', async () => {
    const scene = sceneOn(kind)
    const throttle = new Throttle({ store: scene.store, rate: '5/hour', blocks: true })
    const until = new Date((START + 10 * MINUTE) / 1000)
    expect(await throttle.block('key', '10m')).toMatchObject({ limited: true, remaining: 0, blockedUntil: until })
    for (const quantity of [0, 1, 5]) {
      const result = await throttle.check('key', quantity)
      expect(result).toMatchObject({ limited: true, remaining: 0, retryAfter: 600_000, blockedUntil: until })
    }
    expect(await throttle.check('other')).toMatchObject({ limited: false, blockedUntil: undefined })
    scene.now += 10 * MINUTE - 1
    expect((await throttle.check('key')).limited).toBe(true)
    scene.now += 1
    expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 4 })
  })

  test('a block is never shortened, and unblock lifts it', async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: '5/hour', blocks: true })
    await throttle.block('key', '1h')
    expect((await throttle.block('key', '1m')).retryAfter).toBe(3_600_000)
    expect(await throttle.unblock('key')).toMatchObject({ limited: false, remaining: 5, blockedUntil: undefined })
    expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 4 })
  })

  test('20 wrong guesses at once make one strike', async () => {
    const scene = sceneOn(kind)
    const throttle = new Throttle({
      limiter: new PeriodicLimiter({ store: scene.store }),
      rate: '5/minute',
      blocks: { lockout: ['10m', '1d'] },
    })
    expect((await times(20, () => throttle.check('key'))).filter((limited) => !limited)).toHaveLength(5)
    expect((await throttle.peek('key')).retryAfter).toBe(600_000)
    scene.now += 10 * MINUTE
    expect((await times(20, () => throttle.check('key'))).filter((limited) => !limited)).toHaveLength(5)
    expect((await throttle.peek('key')).retryAfter).toBe(86_400_000)
    scene.now += 24 * 60 * MINUTE
    expect((await times(5, () => throttle.check('key'))).includes(true)).toBe(false)
  })

  test('a strike is forgotten for each `forget` since the end of the last block', async () => {
    const scene = sceneOn(kind)
    const blocks = { lockout: ['1m', '10m', '1h'], forget: '1d' }
    const throttle = new Throttle({ store: scene.store, rate: '1/minute', blocks })
    const locked = async (): Promise<number> => {
      await throttle.check('key')
      return (await throttle.check('key')).retryAfter
    }
    for (const expected of [1, 10, 60, 60]) {
      expect(await locked()).toBe(expected * 60_000)
      scene.now += expected * MINUTE
    }
    scene.now += 2 * 24 * 60 * MINUTE
    expect(await locked()).toBe(60 * 60_000)
    scene.now += 60 * MINUTE + 3 * 24 * 60 * MINUTE
    expect(await locked()).toBe(60_000)
  })

  test('a lock-out lasts at least until the layers that refused are whole again', async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: ['100/minute', '2/hour'], blocks: { lockout: '1s' } })
    await times(2, () => throttle.check('key'))
    expect((await throttle.check('key')).retryAfter).toBe(3_600_000)
  })

  test('peeks, more than the limit, `acquire` and reservations that are only counted later start no lock-out', async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: '1/hour', blocks: { lockout: '1d' } })
    await throttle.check('key')
    const answers = [
      await throttle.peek('key'),
      await throttle.check('key', 2),
      await throttle.acquire('key', 1, { maxWait: 0 }),
      (await throttle.reserveAttempt('key', 1)).reservation.result,
      await throttle.peek('key'),
    ]
    for (const result of answers) expect(result).toMatchObject({ limited: true, blockedUntil: undefined })
    const { result } = await throttle.reserve('key')
    expect(result).toMatchObject({ limited: true, retryAfter: 86_400_000 })
    expect(result.blockedUntil).toBeInstanceOf(Date)
  })

  test('a failed attempt that leaves nothing locks the key out, one that leaves something does not', async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: '2/hour', blocks: { lockout: '1d' } })
    for (const expected of [undefined, expect.any(Date)]) {
      const { reservation, settleFailure } = await throttle.reserveAttempt('key', 1)
      expect(reservation.result.limited).toBe(false)
      await reservation.settle(1)
      await settleFailure()
      expect((await throttle.peek('key')).blockedUntil).toEqual(expected)
    }
  })

  test('clear leaves a block, and refunds and settlements work during one', async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: '5/hour', blocks: true })
    const reservation = await throttle.reserve('key', 4)
    await throttle.block('key', '1h')
    expect(await reservation.settle(3)).toMatchObject({ limited: true, retryAfter: 3_600_000 })
    expect(await throttle.refund('key', 1)).toMatchObject({ limited: true, retryAfter: 3_600_000 })
    expect(await throttle.unblock('key')).toMatchObject({ limited: false, remaining: 3 })
    await throttle.block('key', '1h')
    expect(await throttle.clear('key')).toMatchObject({ limited: true, retryAfter: 3_600_000 })
    expect(await throttle.unblock('key')).toMatchObject({ remaining: 5 })
  })

  test('in a checkAll nothing changes where any subject is blocked, else each that was short strikes', async () => {
    const { store } = sceneOn(kind)
    const user = new Throttle({ store, rate: '2/hour name user', blocks: { lockout: '1d' } })
    const address = new Throttle({ store, rate: '9/hour name address', blocks: { lockout: '2d' } })
    const both = () =>
      checkAll([
        { throttle: user, key: 'ann' },
        { throttle: address, key: '192.0.2.1' },
      ])
    await address.block('192.0.2.1', '1m')
    expect(await both()).toMatchObject({ limited: true, blockedUntil: expect.any(Date) })
    expect((await user.peek('ann')).remaining).toBe(2)
    await address.unblock('192.0.2.1')
    await both()
    await both()
    expect(await both()).toMatchObject({ limited: true, retryAfter: 86_400_000, remaining: 0 })
    expect(await user.peek('ann')).toMatchObject({ limited: true, blockedUntil: expect.any(Date) })
    expect(await address.peek('192.0.2.1')).toMatchObject({ limited: false, remaining: 7 })
  })

  test("a caller's own rate is locked out with the throttle's", async () => {
    const { store } = sceneOn(kind)
    const throttle = new Throttle({ store, rate: '5/hour', blocks: { lockout: '1d' } })
    const rate = Quota.perMinute(1)
    await throttle.check('key', 1, { rate })
    expect((await throttle.check('key', 1, { rate })).blockedUntil).toBeInstanceOf(Date)
    expect((await throttle.check('key')).limited).toBe(true)
  })

  test('blocks of one name block a key for all their throttles, others for their own alone', async () => {
    const { store } = sceneOn(kind)
    const [one, other, apart] = [{ name: 'abuse' }, { name: 'abuse' }, true].map(
      (blocks, index) => new Throttle({ store, rate: `${index + 5}/hour`, blocks }),
    )
    await one?.block('key', '1h')
    expect((await other?.peek('key'))?.limited).toBe(true)
    expect((await apart?.peek('key'))?.limited).toBe(false)
  })

  test('a throttle in shadow mode strikes and reports, and refuses nobody', async () => {
    const { store } = sceneOn(kind)
    const options = { store, rate: '1/hour', blocks: { lockout: '1d' } }
    const shadow = new Throttle({ ...options, shadow: true })
    await shadow.check('key')
    const result = await shadow.check('key')
    expect(result).toMatchObject({ limited: false, wouldLimit: true, retryAfter: 0, blockedUntil: expect.any(Date) })
    expect((await new Throttle(options).check('key')).limited).toBe(true)
  })

  test('the keys that are blocked now are listed, up to a limit', async () => {
    const scene = sceneOn(kind)
    const { store } = scene
    if (store instanceof MapStore) {
      expect(() => store.blocked()).toThrow(TypeError)
      return
    }
    const throttle = new Throttle({ store, rate: '1/minute', blocks: { lockout: '5m', name: 'login' } })
    for (const key of ['locked', 'a{b}c%d', '\uD83D\uDE00 \uD800', 'short']) await throttle.check(key)
    await throttle.check('locked')
    await throttle.block('a{b}c%d', '1h')
    await throttle.block('\uD83D\uDE00 \uD800', '1h')
    await throttle.block('short', '1m')
    scene.now += 2 * MINUTE
    const until = (minutes: number) => new Date((START + minutes * MINUTE) / 1000)
    const expected = [
      { key: 'a{b}c%d', name: 'login', until: until(60), strikes: 0 },
      { key: 'locked', name: 'login', until: until(5), strikes: 1 },
      { key: '\uD83D\uDE00 \uD800', name: 'login', until: until(60), strikes: 0 },
    ]
    expect((await listOf(store.blocked())).sort((one, other) => (one.key < other.key ? -1 : 1))).toEqual(expected)
    expect(await listOf(store.blocked({ limit: 2 }))).toHaveLength(2)
  })

  test.each(LIMITERS)('$name is whole when the lock-out ends', async ({ Limiter }) => {
    const scene = sceneOn(kind)
    const throttle = new Throttle({
      limiter: new Limiter({ store: scene.store }),
      rate: '3/minute',
      blocks: { lockout: '1us' },
    })
    const results = [await throttle.check('key'), await throttle.check('key', 2), await throttle.check('key')]
    const { retryAfter, limited } = results[2] ?? { retryAfter: 0, limited: false }
    expect(limited).toBe(true)
    scene.now += Math.round(retryAfter * 1000)
    expect(await throttle.check('key', 3)).toMatchObject({ limited: false, remaining: 0 })
  })
})
