/** Clients that a RedisStore makes for itself: each kind of URL connects, and whoever asks too early is not refused for it. */
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import {
  type BaseStore,
  GcraLimiter,
  Quota,
  RedisStore,
  StoreTimeoutError,
  StoreUnavailableError,
  storeFromUrl,
  Throttle,
} from 'onrush'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { type SentinelGroup, startSentinels } from '../support/servers/sentinel.ts'
import { until } from '../support/servers/until.ts'

const PASSWORD = 'p@ss/w:rd?#%'
const secret = encodeURIComponent(PASSWORD)
const stores: BaseStore[] = []
const printed = vi.spyOn(console, 'error')

/** Closed after the test. */
function opened<Store extends BaseStore>(store: Store): Store {
  stores.push(store)
  return store
}

function throttleOn(store: BaseStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(100) })
}

function hosts(ports: readonly number[]): string {
  return ports.map((port) => `127.0.0.1:${port}`).join(',')
}

/** Requests in the same turn of the event loop in which the store is made. */
async function askAtOnce(store: BaseStore): Promise<void> {
  const throttle = throttleOn(store)
  const first = await Promise.all(Array.from({ length: 50 }, (_, index) => throttle.check(`key ${index}`)))
  expect(first.map(({ remaining }) => remaining)).toEqual(first.map(() => 99))
  expect((await throttle.check('key 1')).remaining).toBe(98)
}

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()))
  expect(printed, 'what ioredis prints when nobody listens').not.toHaveBeenCalled()
  printed.mockClear()
})

describe('a store by URL answers what is asked in the turn that it is made in', () => {
  let server: RedisServer
  let cluster: RedisCluster
  let sentinels: SentinelGroup

  beforeAll(async () => {
    const acl = [`user me on >${PASSWORD.replace('#', '')} ~* +@all`]
    ;[server, cluster, sentinels] = await Promise.all([
      startRedis({ socket: true, acl }),
      startCluster({ replicas: 0 }),
      startSentinels(),
    ])
  })

  afterAll(async () => {
    await Promise.all([server?.stop(), cluster?.stop(), sentinels?.stop()])
  })

  const who = `me:${encodeURIComponent(PASSWORD.replace('#', ''))}@`

  it('redis:', () => askAtOnce(opened(storeFromUrl(`redis://${who}127.0.0.1:${server.port}`))))

  it('redis: with a database', async () => {
    await askAtOnce(opened(storeFromUrl(`redis://${who}127.0.0.1:${server.port}/3`)))
    expect(await server.information('keyspace')).toContain('db3:keys=51')
  })

  it('redis+unix:', async () => {
    await askAtOnce(opened(storeFromUrl(`redis+unix://${who}${server.socketPath}?db=4&prefix=unix`)))
    expect(await server.information('keyspace')).toContain('db4:keys=51')
  })

  it('redis+cluster:', () =>
    askAtOnce(opened(storeFromUrl(`redis+cluster://${hosts(cluster.nodes.map((node) => node.server.port))}`))))

  it('redis+cluster: with one of its nodes named', () =>
    askAtOnce(opened(storeFromUrl(`redis+cluster://${hosts([cluster.nodes[0]?.server.port ?? 0])}?prefix=one`))))

  it('redis+sentinel:, on the master', async () => {
    await askAtOnce(opened(storeFromUrl(`redis+sentinel://${hosts(sentinels.sentinelPorts)}/mymaster/1`)))
    const master = await sentinels.currentMaster()
    expect(await master.information('keyspace')).toContain('db1:keys=51')
  })

  it('rediss:', async () => {
    await using encrypted = await startRedis({ tls: true, password: PASSWORD })
    const options = { tls: { ca: encrypted.ca } }
    const store = opened(new RedisStore({ url: `rediss://:${secret}@127.0.0.1:${encrypted.port}`, options }))
    await askAtOnce(store)
    await store.close()
  })

  it('redis+cluster: with tls', async () => {
    const args = ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', '--cluster-announce-ip', '127.0.0.1']
    await using encrypted = await startRedis({ tls: true, args })
    await encrypted.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383)
    await until('the slots to be served', async () =>
      String(await encrypted.command('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    )
    const options = { tls: { ca: encrypted.ca } }
    const store = opened(new RedisStore({ url: `redis+cluster://127.0.0.1:${encrypted.port}?tls=true`, options }))
    await askAtOnce(store)
    await store.close()
  })

  it('a client that connects when it is first needed', () =>
    askAtOnce(
      opened(new RedisStore({ url: `redis://${who}127.0.0.1:${server.port}/5`, options: { lazyConnect: true } })),
    ))

  it('a provided client that queues nothing while it connects', async () => {
    const client = new Redis(`redis://${who}127.0.0.1:${server.port}/6`, { enableOfflineQueue: false })
    await askAtOnce(opened(new RedisStore({ client })))
    client.disconnect()
  })

  it('records and pings too', async () => {
    const url = `redis://${who}127.0.0.1:${server.port}/7`
    expect(await opened(storeFromUrl(url)).ping()).toBe(true)
    expect(await opened(storeFromUrl(url)).get('key')).toBeUndefined()
    expect((await throttleOn(opened(storeFromUrl(url))).clear('key')).remaining).toBe(100)
  })
})

describe('while a store of its own client has no connection', () => {
  let server: RedisServer
  let proxy: FaultProxy

  beforeAll(async () => {
    server = await startRedis()
    proxy = await startProxy({ port: server.port })
  })

  afterAll(async () => {
    await proxy?.stop()
    await server?.stop()
  })

  function slowStore(timeout: number): RedisStore {
    return opened(new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout }))
  }

  it('a check waits for a slow server within its timeout', async () => {
    proxy.faults.holdReplies()
    const check = throttleOn(slowStore(20_000)).check('slow')
    let settled = false
    check.finally(() => {
      settled = true
    })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(settled).toBe(false)
    proxy.faults.pass()
    expect((await check).remaining).toBe(99)
  })

  it('a check that is given up has not been sent, and never is', async () => {
    proxy.faults.holdReplies()
    const store = slowStore(300)
    const throttle = throttleOn(store)
    const given = await Promise.allSettled([throttle.check('given up'), throttle.clear('other'), store.get('record')])
    for (const outcome of given) {
      const reason = outcome.status === 'rejected' ? outcome.reason : undefined
      expect(reason).toBeInstanceOf(StoreTimeoutError)
      expect(reason).toHaveProperty('sent', false)
    }
    proxy.faults.pass()
    await until('the store to connect', () => store.ping())
    expect((await throttle.peek('given up')).remaining).toBe(100)
  })

  it('a check fails at once with what the client said, and works when Redis is back', async () => {
    proxy.faults.pass()
    const store = slowStore(20_000)
    const throttle = throttleOn(store)
    await throttle.check('back')
    proxy.faults.refuse()
    proxy.faults.resetAll()
    let error: unknown
    await until('the store to notice that nobody listens', async () => {
      const asked = performance.now()
      error = await throttle.peek('back').catch((reason: unknown) => reason)
      expect(performance.now() - asked).toBeLessThan(10_000)
      return inspect(error).includes('ECONNREFUSED')
    })
    expect(error).toBeInstanceOf(StoreUnavailableError)
    await proxy.faults.accept()
    await until('the store to connect again', () => store.ping())
    expect((await throttle.check('back')).remaining).toBe(98)
  })

  it.each([
    ['redis', ''],
    ['redis+cluster', ''],
    ['redis+sentinel', '/mymaster?timeout=300'],
  ])('%s: closes before it has ever connected', async (scheme, rest) => {
    const store = storeFromUrl(`${scheme}://127.0.0.1:1${rest}`)
    const check = throttleOn(store).check('key')
    await expect(check).rejects.toThrow(scheme === 'redis+sentinel' ? StoreTimeoutError : StoreUnavailableError)
    await store.close()
    await expect(throttleOn(store).check('key')).rejects.toThrow(StoreUnavailableError)
  })
})

describe('a wrong password', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await startRedis({ password: PASSWORD })
  })

  afterAll(async () => {
    await server?.stop()
  })

  it.each(['redis', 'redis+cluster'])('shows nowhere in the error of a check by %s:', async (scheme) => {
    const store = opened(storeFromUrl(`${scheme}://:hunter2@127.0.0.1:${server.port}`))
    const error: unknown = await throttleOn(store)
      .check('key')
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreUnavailableError)
    expect(inspect(error)).toContain('WRONGPASS')
    expect(inspect([error, store], { depth: 20, showHidden: true })).not.toContain('hunter')
  })

  it('shows nowhere in the error of a check on a provided client', async () => {
    const client = new Redis(server.port, '127.0.0.1', { password: 'hunter2' })
    client.on('error', () => {})
    const error: unknown = await throttleOn(new RedisStore({ client }))
      .check('key')
      .catch((reason: unknown) => reason)
    client.disconnect()
    // Its owner's client goes on trying, so the check waits as long as it may.
    expect(error).toBeInstanceOf(StoreTimeoutError)
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('hunter')
  })
})

describe('a database that the server does not have', () => {
  it('is counted in nowhere: checks reject and say why', async () => {
    await using server = await startRedis()
    const store = opened(storeFromUrl(`redis://127.0.0.1:${server.port}/99`))
    const checks = Array.from({ length: 3 }, () => throttleOn(store).check('key'))
    for (const { status, reason } of (await Promise.allSettled(checks)) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected')
      expect(inspect(reason)).toContain('DB index is out of range')
    }
    await expect(throttleOn(store).check('key')).rejects.toThrow('DB index is out of range')
    expect(await store.ping()).toBe(false)
    expect(await server.command('DBSIZE')).toBe(0)
  })
})

it('answers what was asked in the turn in which the store is closed', async () => {
  const redis = await startRedis()
  try {
    const store = new RedisStore({ url: redis.url })
    const throttle = throttleOn(store)
    await throttle.check('ada')
    const last = throttle.check('ada')
    await store.close()
    expect((await last).remaining).toBe(98)
  } finally {
    await redis.stop()
  }
})
