/** Several subjects that are reserved together, when replies are lost, calls are sent again, and a primary store goes away. */
import { Redis } from 'ioredis'
import {
  type BaseStore,
  ConcurrencyLimiter,
  DictionaryStore,
  FailoverStore,
  GcraLimiter,
  type JointReservation,
  Quota,
  RedisStore,
  type RedisStoreOptions,
  reserveAll,
  StoreError,
  Throttle,
} from 'onrush'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { MapStore } from '../support/stores/map-store.ts'

const server = await startRedis()
const proxy = await startProxy(server)
const throughProxy = `redis://127.0.0.1:${proxy.port}`
const direct = new RedisStore({ url: server.url, timeout: 20_000 })
afterAll(async () => {
  await direct.close()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
})
beforeEach(() => proxy.faults.pass())

/** Longer than any test: what comes back earlier was ended by its name. */
const LEASE = '1h'
const RATE = 9

interface World {
  /** Reserves a permit of the user, a request and a permit of the tenant, and a request of the vendor. */
  reserve(signal?: AbortSignal): Promise<JointReservation>
  /** What the user, the tenant (a rate, then permits) and the vendor have left. */
  left(): Promise<number[]>
}

function worldOf(store: BaseStore, count = 2, rate = RATE): World {
  const key = uniquePrefix()
  const subjectsOn = (on: BaseStore) => {
    const limiter = new ConcurrencyLimiter({ store: on })
    const requests = (name: string) => ({
      limiter: new GcraLimiter({ store: on }),
      rate: Quota.perHour(rate, { name }),
    })
    const concurrent = (name: string) => ({ limiter, rate: Quota.concurrent(count, { name, lease: LEASE }) })
    const throttles = [
      new Throttle(concurrent('user')),
      new Throttle({ layers: [requests('tenant'), concurrent('tenant')] }),
      new Throttle(requests('vendor')),
    ]
    return throttles.map((throttle) => ({ throttle, key }))
  }
  const watched = subjectsOn(store instanceof RedisStore ? direct : store)
  return {
    reserve: (signal) => reserveAll(subjectsOn(store), { signal }),
    left: async () => {
      const looks = await Promise.all(watched.map(({ throttle }) => throttle.peek(key)))
      return looks.flatMap(({ layers }) => layers.map(({ remaining }) => remaining))
    },
  }
}

const through = (options: Partial<RedisStoreOptions> = {}): RedisStore =>
  new RedisStore({ url: throughProxy, timeout: 20_000, ...options })

/** All is back, but for `spent` requests. */
const allBut = (spent: number): number[] => [2, RATE - spent, 2, RATE - spent]

describe('a reply that is lost', () => {
  test('rejects, and all tickets are ended by their names; only the rates of the request stay spent, once', async () => {
    const store = through({ timeout: 800 })
    const { reserve, left } = worldOf(store)
    // The server knows the script from now on.
    await (await reserve()).cancel()
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1 })
    await expect(reserve()).rejects.toThrow(StoreError)
    proxy.faults.pass()
    await until('all permits to be free', async () => `${await left()}` === `${allBut(1)}`)
    await store.close()
  })

  test('with resend is asked for again: nothing is held or spent twice, and all of it is given back', async () => {
    const store = through({ resend: true })
    const { reserve, left } = worldOf(store)
    await (await reserve()).cancel()
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    const held = await reserve()
    expect(held.result.limited).toBe(false)
    expect(await left()).toEqual([1, RATE - 1, 1, RATE - 1])
    await held.cancel()
    expect(await left()).toEqual(allBut(0))
    await store.close()
  })

  test('and a call that the client itself sends again is answered by its tickets: nothing is held or spent twice', async () => {
    const client = new Redis(throughProxy)
    client.on('error', () => {})
    const store = new RedisStore({ client, timeout: 20_000 })
    const { reserve, left } = worldOf(store)
    await (await reserve()).cancel()
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    const held = await reserve()
    expect(held.result.limited).toBe(false)
    expect(await left()).toEqual([1, RATE - 1, 1, RATE - 1])
    await held.settle()
    expect(await left()).toEqual(allBut(1))
    await store.close()
    client.disconnect()
  })

  test('and a caller who leaves meanwhile holds nothing', async () => {
    const store = through()
    const { reserve, left } = worldOf(store)
    await (await reserve()).cancel()
    const leaving = new AbortController()
    const asked = reserve(leaving.signal)
    // In flight: it has left, and its answer has not come.
    await new Promise((resolve) => setImmediate(resolve))
    leaving.abort(new Error('left'))
    await expect(asked).rejects.toThrow('left')
    await until('all permits to be free', async () => {
      const [user, , tenant] = await left()
      return user === 2 && tenant === 2
    })
    await store.close()
  })
})

describe('on a FailoverStore', () => {
  test('all subjects are decided by one store, and ended there', async () => {
    const primary = through({ timeout: 800 })
    const fallback = new DictionaryStore()
    const store = new FailoverStore({ primary, fallback })
    const { reserve } = worldOf(store, 1)
    const onPrimary = await reserve()
    expect(onPrimary.result).toMatchObject({ limited: false, degraded: false })
    expect((await reserve()).result).toMatchObject({ limited: true, degraded: false })
    proxy.faults.blackHole()
    const onFallback = await reserve()
    expect(onFallback.result).toMatchObject({ limited: false, degraded: true })
    for (const { degraded } of onFallback.result.layers) expect(degraded).toBe(true)
    expect((await reserve()).result).toMatchObject({ limited: true, degraded: true })
    proxy.faults.pass()
    // What the fallback has granted comes back there, whether the primary is back or not.
    const ended = await onFallback.settle()
    expect(ended).toMatchObject({ limited: false, degraded: true })
    await until('the primary', async () => {
      const one = await reserve()
      await one.cancel()
      return !one.result.degraded && one.result.limited
    })
    await onPrimary.settle()
    const after = await reserve()
    expect(after.result).toMatchObject({ limited: false, degraded: false })
    await after.settle()
    await store.close()
  })

  test('a request that timed out at the primary is ended there by its name', async () => {
    const primary = through({ timeout: 800 })
    const store = new FailoverStore({ primary, fallback: 'allow' })
    const { reserve } = worldOf(store)
    await (await reserve()).cancel()
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1 })
    const held = await reserve()
    expect(held.result).toMatchObject({ limited: false, degraded: true })
    await held.settle()
    proxy.faults.pass()
    await until('two reservations at the primary', async () => {
      const both = [await reserve(), await reserve()]
      for (const one of both) await one.cancel()
      return both.every(({ result }) => !result.limited && !result.degraded)
    })
    await store.close()
  })

  test('units of subjects without permits are settled at the fallback that has spent them', async () => {
    class AwayStore extends MapStore {
      override async get(): Promise<never> {
        throw new StoreError('away')
      }
    }
    const fallback = new DictionaryStore()
    const store = new FailoverStore({ primary: new AwayStore(), fallback, instances: 2 })
    const { reserve, left } = worldOf(store, 2, 10)
    const held = await reserve()
    expect(await left()).toEqual([0, 4, 0, 4])
    await held.cancel()
    expect(await left()).toEqual([1, 5, 1, 5])
    await store.close()
  })
})
