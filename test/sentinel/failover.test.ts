/** A store behind sentinels: the master dies, hangs or becomes a replica under load, and the store finds the next by itself. */
import { type BaseStore, GcraLimiter, Quota, StoreError, StoreTimeoutError, storeFromUrl, Throttle } from 'onrush'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Load } from '../support/cluster/load.ts'
import { LIMITERS } from '../support/limiters.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { type SentinelGroup, startSentinels } from '../support/servers/sentinel.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const TIMEOUT = 1000
/** By how many ms a check may be settled late on a busy machine. */
const GRACE = 1000
/** ms: what a replica may lack was admitted in so long a time. */
const LAG = 500

const LIMIT = 200
const KEYS = Array.from({ length: 20 }, (_, index) => `key ${index}`)

const stores: BaseStore[] = []

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
})

function throttleOn(url: string, options = '', prefix = uniquePrefix()): Throttle {
  const store = storeFromUrl(`${url}?prefix=${prefix}${options}`)
  stores.push(store)
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.parse(`${LIMIT}/3653 days`) })
}

describe('when the master', () => {
  let group: SentinelGroup

  beforeAll(async () => {
    group = await startSentinels({ replicas: 2 })
  })

  afterAll(async () => {
    await group?.stop()
  })

  function url(): string {
    const hosts = group.sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')
    return `redis+sentinel://${hosts}/${group.masterName}/0`
  }

  /** Fails the master under load, and answers when each key has been given all it gets. */
  async function loadWhile(fail: () => Promise<unknown>, options = '') {
    const load = new Load([throttleOn(url(), options)], KEYS)
    await load.more(500)
    const began = performance.now()
    await fail()
    const promoted = performance.now()
    await load.exhausted()
    await load.stop()
    return { load, began, promoted }
  }

  /** No check failed but in the outage, each in time; no key was given more than its limit and what the replica lacked. */
  function expectBounded({ load, began, promoted }: { load: Load; began: number; promoted: number }): void {
    expect(load.failures.length).toBeGreaterThan(0)
    for (const { error, askedAt, settledAt } of load.failures) {
      expect(error).toBeInstanceOf(StoreError)
      expect(settledAt - askedAt).toBeLessThan(TIMEOUT + GRACE)
      expect(settledAt).toBeGreaterThan(began)
      expect(askedAt).toBeLessThan(promoted + 2 * TIMEOUT + GRACE)
    }
    for (const [key, admitted] of load.admitted) {
      const mayBeLost = load.admissions.filter((each) => each.key === key && began - each.askedAt < LAG).length
      const mayBeCounted = load.failures.filter((failure) => failure.key === key).length
      expect(admitted, key).toBeLessThanOrEqual(LIMIT + mayBeLost)
      expect(admitted, key).toBeGreaterThanOrEqual(LIMIT - mayBeCounted)
    }
  }

  test('is killed, checks fail until a replica is promoted, and go on by themselves', async () => {
    expectBounded(await loadWhile(() => group.killMaster()))
  })

  test('hangs, checks fail until a replica is promoted, though its connections stay open', async () => {
    const hanging = await group.currentMaster()
    try {
      const outage = await loadWhile(async () => {
        hanging.pause()
        await until('another master', async () => (await group.currentMaster()) !== hanging)
      })
      expectBounded(outage)
    } finally {
      hanging.resume()
    }
  })
})

describe('when the sentinel that is asked first hangs', () => {
  let group: SentinelGroup
  let hung: RedisServer | undefined

  beforeAll(async () => {
    group = await startSentinels()
    hung = group.sentinels.at(-1)
    hung?.pause()
  })

  afterAll(async () => {
    hung?.resume()
    await group?.stop()
  })

  /** With the one that hangs before the others. */
  function url(): string {
    const hosts = group.sentinelPorts.map((port) => `127.0.0.1:${port}`).reverse()
    return `redis+sentinel://${hosts.join(',')}/${group.masterName}/0`
  }

  test.each(['', '&resend=true'])('a new store asks the next (%s)', async (option) => {
    expect(await throttleOn(url(), `&timeout=20000${option}`).check('key')).toMatchObject({ limited: false })
  })

  test('a store finds the next master when its own dies', async () => {
    const throttle = throttleOn(url(), '&timeout=40000&resend=true')
    await throttle.check('key')
    const master = await group.currentMaster()
    await master.kill()
    expect(await throttle.check('another key')).toMatchObject({ limited: false })
  })
})

describe('a master that has become a replica', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await startRedis()
  })

  afterAll(async () => {
    await server?.stop()
  })

  /** The server refuses to write for as long as `work` takes: the replica of nobody, it keeps what it has. */
  async function whileReadOnly(work: () => Promise<unknown>): Promise<void> {
    await server.command('REPLICAOF', '127.0.0.1', 1)
    try {
      await work()
    } finally {
      await server.command('REPLICAOF', 'NO', 'ONE')
    }
  }

  async function refusals(): Promise<number> {
    return Number(/errorstat_READONLY:count=(\d+)/.exec(await server.information('errorstats'))?.[1] ?? 0)
  }

  test.each(['', '&resend=true'])(
    'is left for a new connection, and no check fails that can wait (%s)',
    async (option) => {
      const load = new Load([throttleOn(server.url, `&timeout=20000${option}`)], KEYS)
      await load.more(500)
      const before = await refusals()
      const clients = String(await server.command('CLIENT', 'LIST')).match(/id=\d+/g) ?? []
      await whileReadOnly(() => until('checks to be refused', async () => (await refusals()) > before))
      await load.exhausted()
      await load.stop()
      expect(load.failures).toEqual([])
      expect([...load.admitted.values()]).toEqual(KEYS.map(() => LIMIT))
      const later = String(await server.command('CLIENT', 'LIST'))
      expect(clients.filter((id) => !later.includes(`${id} `))).not.toEqual([])
    },
  )

  test('tells at the deadline why it could not decide, and counts nothing', async () => {
    const prefix = uniquePrefix()
    const hasty = throttleOn(server.url, '&timeout=300', prefix)
    const patient = throttleOn(server.url, '&timeout=20000', prefix)
    await patient.check('key')
    await whileReadOnly(async () => {
      let error: unknown
      // A check whose last attempt is still unanswered at the deadline cannot tell, so another one is asked.
      await until('the replica to answer every attempt in time', async () => {
        error = await hasty.check('key').catch((reason: unknown) => reason)
        return error instanceof StoreTimeoutError && !error.sent
      })
      expect(error).toMatchObject({ code: 'ONRUSH_STORE_TIMEOUT', message: expect.stringContaining('READONLY') })
    })
    expect((await patient.check('key'))?.remaining).toBe(LIMIT - 2)
  })

  test('is asked by every limiter, and each goes on where it was', async () => {
    const store = storeFromUrl(`${server.url}?prefix=${uniquePrefix()}&timeout=20000`)
    stores.push(store)
    const rate = Quota.parse(`${LIMIT}/3653 days`)
    const throttle = new Throttle({
      layers: LIMITERS.map(({ Limiter }) => ({ limiter: new Limiter({ store }), rate })),
    })
    const held = await throttle.reserve('key', 10)
    const asked: Promise<{ remaining: number }>[] = []
    const before = await refusals()
    await whileReadOnly(async () => {
      asked.push(throttle.check('key', 5), throttle.refund('key', 1), held.settle(3))
      await until('it to be asked', async () => (await refusals()) > before)
    })
    expect((await Promise.all(asked)).map(({ remaining }) => remaining)).toEqual([LIMIT - 15, LIMIT - 14, LIMIT - 7])
    expect((await throttle.peek('key')).layers.map(({ remaining }) => remaining)).toEqual(LIMITERS.map(() => LIMIT - 7))
  })
})
