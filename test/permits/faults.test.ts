/** What each fault in docs/concurrency.md does, and the ways in which other limiters leak permits or grant too many. */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ConcurrencyLimiter, PermitLostError, Quota, RedisStore, StoreError, Throttle } from 'onrush'
import { afterAll, describe, expect, test } from 'vitest'
import { startProxy } from '../support/servers/proxy.ts'
import { startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const server = await startRedis()
const proxy = await startProxy(server)
const direct = new RedisStore({ url: server.url, timeout: 20_000 })
afterAll(async () => {
  await direct.close()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
})

interface Pair extends AsyncDisposable {
  /** Asks by way of what may fail. */
  readonly throttle: Throttle
  readonly key: string
  /** How many permits the server has left. */
  left(): Promise<number>
}

function pair(count: number, lease = '15s', timeout = 20_000): Pair {
  const store = new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, timeout })
  const rate = Quota.concurrent(count, { lease })
  const watching = new Throttle({ limiter: new ConcurrencyLimiter({ store: direct }), rate })
  const key = uniquePrefix()
  return {
    throttle: new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate }),
    key,
    left: async () => (await watching.peek(key)).remaining,
    [Symbol.asyncDispose]: async () => {
      proxy.faults.pass()
      await store.close().catch(() => {})
    },
  }
}

describe('the work ends', () => {
  test('by a time-out of the provider: its permit is free', async () => {
    await using one = pair(1)
    const work = async () => {
      await using permit = await one.throttle.reserve(one.key)
      const over = AbortSignal.any([permit.signal, AbortSignal.timeout(20)])
      await sleep(60_000, undefined, { signal: over })
    }
    await expect(work()).rejects.toThrow('aborted')
    expect(await one.left()).toBe(1)
  })

  test('by an error on each of many paths: no permit leaks', async () => {
    await using one = pair(2)
    for (let round = 0; round < 20; round++) {
      const work = async () => {
        await using permit = await one.throttle.reserve(one.key, 1, { maxWait: '20s' })
        if (permit.result.limited) return
        throw new Error('failed')
      }
      await Promise.allSettled([work(), work(), work()])
    }
    expect(await one.left()).toBe(2)
  })

  test('by an abort of the request that asked: the abort does not keep its release from the server', async () => {
    await using one = pair(1)
    const request = new AbortController()
    const permit = await one.throttle.reserve(one.key, 1, { signal: request.signal })
    request.abort(new Error('the client has gone'))
    await permit.cancel()
    expect(await one.left()).toBe(1)
  })
})

describe('replies are lost', () => {
  test('of a request and of a release: both permits are ended by their names, long before they would lapse', async () => {
    const lease = 6000
    await using one = pair(2, `${lease}ms`, 300)
    const since = performance.now()
    const permit = await one.throttle.reserve(one.key)
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1 })
    await expect(one.throttle.reserve(one.key)).rejects.toThrow(StoreError)
    expect(await one.left()).toBe(0)
    await expect(permit.cancel()).rejects.toThrow(StoreError)
    proxy.faults.pass()
    await until('both permits to be free', async () => (await one.left()) === 2)
    expect(performance.now() - since).toBeLessThan(lease)
  })

  test('of a release that never reached the server: it is sent again, long before the permit would lapse', async () => {
    await using one = pair(1, '1h', 300)
    const permit = await one.throttle.reserve(one.key)
    proxy.faults.blackHole()
    await expect(permit.cancel()).rejects.toThrow(StoreError)
    proxy.faults.pass()
    await until('the permit to be free', async () => (await one.left()) === 1)
  })

  test('of somebody who waits: it asks again, and gets its turn', async () => {
    await using one = pair(1, '2s', 400)
    const held = await one.throttle.reserve(one.key)
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    const waiting = one.throttle.reserve(one.key, 1, { maxWait: '50s' })
    await sleep(100)
    await held.settle().catch(() => {})
    expect((await waiting).result.limited).toBe(false)
    await (await waiting).settle()
    await until('both permits to be ended', async () => (await one.left()) === 1)
  })
})

describe('the store is away', () => {
  test('for less than a lease: permits are held on', async () => {
    await using one = pair(1, '10s', 400)
    const permit = await one.throttle.reserve(one.key)
    proxy.faults.blackHole()
    await expect(one.throttle.peek(one.key)).rejects.toThrow(StoreError)
    proxy.faults.pass()
    await until('the store to be back', async () => (await one.throttle.peek(one.key)).remaining === 0)
    expect(permit.signal.aborted).toBe(false)
    await permit.settle()
    expect(await one.left()).toBe(1)
  })

  test('for longer than a lease: the signal aborts before somebody else can hold the permit', async () => {
    await using one = pair(1, '600ms', 300)
    const permit = await one.throttle.reserve(one.key)
    let aborted = 0
    permit.signal.addEventListener('abort', () => {
      aborted = performance.now()
    })
    proxy.faults.blackHole()
    let free = 0
    await until('the permit to be free', async () => {
      const before = performance.now()
      if ((await one.left()) === 0) return false
      free = before
      return true
    })
    await until('the signal to abort', async () => permit.signal.aborted)
    expect(permit.signal.reason).toBeInstanceOf(PermitLostError)
    // A tenth for a first turn of the event loop that comes late: it is the same process that looks.
    expect(aborted).toBeLessThanOrEqual(free + 60)
    proxy.faults.pass()
    await until('a permit', async () => !(await one.throttle.reserve(one.key)).result.limited)
  })

  test('and comes back empty: holders learn of it, and callers are let in', async () => {
    await using one = pair(1, '900ms', 400)
    const permit = await one.throttle.reserve(one.key)
    await server.restart()
    await until('the loss', async () => permit.signal.aborted)
    let next = permit
    await until('a permit', async () => {
      next = await one.throttle.reserve(one.key, 1, { maxWait: 1000 })
      return !next.result.limited
    })
    expect(next.signal.aborted).toBe(false)
    await next.settle()
  })
})

test('32 workers under contention never hold more than there is, each is served, and none fails', async () => {
  const workers = 32
  const count = 5
  const prefix = uniquePrefix()
  const stores = Array.from({ length: workers }, () => new RedisStore({ url: server.url, prefix, timeout: 20_000 }))
  let busy = 0
  let most = 0
  const served = await Promise.all(
    stores.map(async (store) => {
      const limiter = new ConcurrencyLimiter({ store })
      const throttle = new Throttle({ limiter, rate: Quota.concurrent(count, { lease: '30s' }) })
      let starts = 0
      for (let round = 0; round < 12; round++) {
        // Some do not wait, which is where others grant too many.
        const permit = await throttle.reserve('key', 1, round % 3 === 0 ? {} : { maxWait: '50s' })
        if (permit.result.limited) continue
        starts++
        busy++
        most = Math.max(most, busy)
        await sleep(1)
        busy--
        await permit.settle()
      }
      return starts
    }),
  )
  expect(most).toBe(count)
  expect(Math.min(...served)).toBeGreaterThanOrEqual(8)
  for (const store of stores) await store.close()
})

test('a permit whose reservation is garbage stays held, and the first such reservation causes a warning', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const warnings: string[] = []
  const note = (warning: Error & { readonly code?: string }): void => {
    if (warning.code === 'ONRUSH_PERMIT_FORGOTTEN') warnings.push(warning.message)
  }
  process.on('warning', note)
  await using one = pair(3)
  const ended = async () => {
    await (await one.throttle.reserve(one.key)).settle()
  }
  const forget = async () => {
    await one.throttle.reserve(one.key)
  }
  await ended()
  collect()
  await sleep(20)
  collect()
  await sleep(20)
  expect(warnings).toEqual([])
  await forget()
  await forget()
  await until('the warning', async () => {
    collect()
    return warnings.length > 0
  })
  collect()
  await sleep(20)
  process.off('warning', note)
  expect(warnings).toEqual([expect.stringContaining('`maxHold`')])
  expect(await one.left()).toBe(1)
})
