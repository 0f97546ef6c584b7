/** What every middleware does, whatever its framework: over real HTTP. */
import http from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BaseStore, GcraLimiter, Quota, RedisStore, Throttle } from '../../src/index.ts'
import { startRedis } from '../support/servers/redis.ts'
import { frameworks, type Handle, type Limit, type Service } from './servers.ts'
import { BrokenStore, SlowStore, stillStores } from './stores.ts'

/** Polls for long on a busy machine; ms. */
const PATIENTLY = { timeout: 30_000 }

const stores = stillStores()
const cases = frameworks.flatMap(([framework, startService]) =>
  stores.map(([storeName, makeStore]) => ({ framework, startService, storeName, makeStore })),
)

let service: Service | undefined
let store: BaseStore
let handled: string[]

afterEach(async () => {
  await service?.close()
  service = undefined
  await store.close()
})

/** A quota of `count` an hour under a name of its own. */
function hourly(count: number, name: string): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(count, { name }) })
}

function get(path: string, user = 'ann'): Promise<Response> {
  if (service === undefined) throw new Error('no service was started')
  return fetch(service.url + path, { headers: { 'x-user': user } })
}

/** Asks on a connection of its own; the answer is a function that breaks it off, and resolves when the server knows. */
function askAndLeave(path: string): () => Promise<void> {
  if (service === undefined) throw new Error('no service was started')
  const { url, connections } = service
  const request = http.get(url + path, { headers: { 'x-user': 'ann' }, agent: false })
  request.on('error', () => {})
  return async () => {
    request.destroy()
    await expect.poll(connections, PATIENTLY).toBe(0)
  }
}

async function statusesOf(...asked: Promise<Response>[]): Promise<number[]> {
  return (await Promise.all(asked)).map(({ status }) => status)
}

/** A handler that keeps its requests under way until they are let go. */
class HeldHandler {
  #count = 0
  #letGo: (() => void)[] = []

  readonly handle: Handle = async (path) => {
    this.#count++
    await new Promise<void>((resolve) => this.#letGo.push(resolve))
    return statusIn(path)
  }

  async until(count: number): Promise<void> {
    await expect.poll(() => this.#count, PATIENTLY).toBe(count)
  }

  letGo(): void {
    for (const letGo of this.#letGo.splice(0)) letGo()
  }
}

/** `/401` is handled with status 401, anything else with 200. */
function statusIn(path: string): number {
  return Number(path.slice(1)) || 200
}

describe.each(cases)('$framework on $storeName', ({ startService, makeStore }) => {
  beforeEach(() => {
    store = makeStore()
    handled = []
  })

  async function start(...limits: Limit[]): Promise<void> {
    service = await startService(limits, async (path) => {
      handled.push(path)
      return statusIn(path)
    })
  }

  test('a request within its quota is handled, and told what is left', async () => {
    await start({ throttle: hourly(2, 'within') })
    const response = await get('/')
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('handled')
    expect(response.headers.get('ratelimit-policy')).toBe('"within";q=2;w=3600')
    expect(response.headers.get('ratelimit')).toBe('"within";r=1;t=1800')
    expect(response.headers.get('retry-after')).toBeNull()
  })

  test('a request beyond its quota is refused with problem details and never handled', async () => {
    await start({ throttle: hourly(1, 'beyond') })
    await get('/first')
    const response = await get('/second')
    expect(response.status).toBe(429)
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(response.headers.get('retry-after')).toBe('3600')
    expect(response.headers.get('ratelimit')).toBe('"beyond";r=0;t=3600')
    expect(await response.json()).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Quota Exceeded',
      status: 429,
      detail: 'The same request may pass in 3600 s.',
      'violated-policies': ['beyond'],
    })
    expect(handled).toEqual(['/first'])
  })

  test('every key has a quota of its own', async () => {
    await start({ throttle: hourly(1, 'keys') })
    expect(await statusesOf(get('/', 'ann'), get('/', 'bob'))).toEqual([200, 200])
    expect(await statusesOf(get('/', 'ann'), get('/', 'bob'))).toEqual([429, 429])
  })

  test('a hundred requests at once spend exactly the quota', async () => {
    await start({ throttle: hourly(10, 'flood') })
    const statuses = await statusesOf(...Array.from({ length: 100 }, () => get('/')))
    expect(statuses.filter((status) => status === 200)).toHaveLength(10)
    expect(statuses.filter((status) => status === 429)).toHaveLength(90)
  })

  test('the throttle may be chosen for each request', async () => {
    const free = hourly(1, 'free')
    const paid = hourly(3, 'paid')
    await start({ throttle: ({ user }) => (user === 'ann' ? paid : free) })
    expect(await statusesOf(get('/', 'ann'), get('/', 'ann'), get('/', 'bob'))).toEqual([200, 200, 200])
    expect(await statusesOf(get('/', 'ann'), get('/', 'bob'))).toEqual([200, 429])
  })

  test('a request may spend more than one unit', async () => {
    await start({ throttle: hourly(10, 'units'), quantity: ({ path }) => (path === '/large' ? 7 : 1) })
    expect((await get('/large')).headers.get('ratelimit')).toContain('r=3')
    expect((await get('/large')).status).toBe(429)
    expect((await get('/small')).headers.get('ratelimit')).toContain('r=2')
  })

  test('a request that is skipped spends nothing and gets no fields', async () => {
    await start({ throttle: hourly(1, 'skip'), skip: ({ path }) => path === '/health' })
    const response = await get('/health')
    expect(response.headers.has('ratelimit')).toBe(false)
    expect(await statusesOf(get('/health'), get('/'))).toEqual([200, 200])
  })

  test('earlier forms of the fields are sent when asked for', async () => {
    await start({ throttle: hourly(2, 'earlier'), headers: 'legacy' })
    const { headers } = await get('/')
    expect(headers.get('x-ratelimit-limit')).toBe('2')
    expect(headers.get('x-ratelimit-remaining')).toBe('1')
    expect(headers.get('x-ratelimit-reset')).toBe('1800')
    expect(headers.has('ratelimit')).toBe(false)
  })

  test('without fields a refused request is still told when to come again', async () => {
    await start({ throttle: hourly(1, 'bare'), headers: false })
    expect((await get('/')).headers.has('ratelimit')).toBe(false)
    const refused = await get('/')
    expect(refused.headers.has('ratelimit')).toBe(false)
    expect(refused.headers.get('retry-after')).toBe('3600')
  })

  test('limits one behind the other list their quotas together', async () => {
    await start({ throttle: hourly(5, 'outer') }, { throttle: hourly(2, 'inner') })
    const { headers } = await get('/')
    expect(headers.get('ratelimit-policy')?.split(', ').sort()).toEqual(['"inner";q=2;w=3600', '"outer";q=5;w=3600'])
    expect(headers.get('ratelimit')?.split(', ').sort()).toEqual(['"inner";r=1;t=1800', '"outer";r=4;t=720'])
  })

  test('a refusal can be answered in its own way', async () => {
    await start({ throttle: hourly(1, 'own'), teapot: true })
    await get('/')
    const response = await get('/')
    expect(response.status).toBe(418)
    expect(await response.text()).toBe('a teapot for 3600000 ms')
    expect(response.headers.get('retry-after')).toBe('3600')
    expect(handled).toEqual(['/'])
  })

  test('a key that is no key goes to the error handler, and is not let pass', async () => {
    await start({ throttle: hourly(1, 'wrong'), key: () => '', onError: 'allow' })
    expect((await get('/')).status).toBe(500)
    expect(handled).toEqual([])
  })

  describe('counting only some responses', () => {
    let held: HeldHandler

    beforeEach(() => {
      held = new HeldHandler()
    })

    async function startHeld(limit: Limit): Promise<void> {
      service = await startService([limit], held.handle)
    }

    /** How much of the quota is left, as soon as it is so much: what is given back after a response may take a moment. */
    async function untilLeft(throttle: Throttle, wanted: number): Promise<void> {
      await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(wanted)
    }

    test('successes are given back where failures count', async () => {
      const throttle = hourly(3, 'failed')
      await start({ throttle, counted: 'failed' })
      expect(await statusesOf(get('/200'), get('/204'), get('/302'))).toEqual([200, 204, 302])
      await untilLeft(throttle, 3)
      expect(await statusesOf(get('/400'), get('/401'), get('/500'))).toEqual([400, 401, 500])
      await untilLeft(throttle, 0)
      expect((await get('/200')).status).toBe(429)
    })

    test('failures are given back where successes count', async () => {
      const throttle = hourly(2, 'successful')
      await start({ throttle, counted: 'successful' })
      expect(await statusesOf(get('/400'), get('/500'))).toEqual([400, 500])
      await untilLeft(throttle, 2)
      expect(await statusesOf(get('/200'), get('/302'))).toEqual([200, 302])
      await untilLeft(throttle, 0)
    })

    test('a function may say which responses count', async () => {
      const throttle = hourly(2, 'function')
      await start({ throttle, counted: (status, { path }) => status === 404 && path === '/404' })
      expect(await statusesOf(get('/500'), get('/200'))).toEqual([500, 200])
      await untilLeft(throttle, 2)
      await get('/404')
      await untilLeft(throttle, 1)
    })

    test('no more requests are under way at once than the quota allows', async () => {
      const throttle = hourly(2, 'under-way')
      await startHeld({ throttle, counted: 'failed' })
      const first = [get('/200'), get('/200')]
      await held.until(2)
      expect((await get('/200')).status).toBe(429)
      held.letGo()
      expect(await statusesOf(...first)).toEqual([200, 200])
      await untilLeft(throttle, 2)
    })

    test('nothing is held for a client that left before the response, and nothing is put right twice', async () => {
      const throttle = hourly(1, 'left')
      const errors: unknown[] = []
      await startHeld({ throttle, counted: 'failed', onError: (error) => errors.push(error) })
      const leave = askAndLeave('/401')
      await held.until(1)
      expect((await throttle.peek('ann')).remaining).toBe(0)
      await leave()
      await untilLeft(throttle, 1)
      held.letGo()
      // By the time that a whole request has come and gone, the one that was left has ended too.
      const next = get('/401')
      await held.until(2)
      held.letGo()
      expect((await next).status).toBe(401)
      await untilLeft(throttle, 0)
      expect(errors).toEqual([])
    })
  })
})

test.each(frameworks)(
  '%s holds nothing for a client that left while the store was asked',
  async (_name, startService) => {
    const slow = new SlowStore()
    store = slow
    const held = new HeldHandler()
    const throttle = hourly(1, 'asked')
    service = await startService([{ throttle, counted: 'failed' }], held.handle)
    const leave = askAndLeave('/401')
    await expect.poll(() => slow.waiting, PATIENTLY).toBe(1)
    await leave()
    slow.letGo()
    await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(1)
    held.letGo()
  },
)

describe.each(frameworks)('%s, when the store fails', (_framework, startService) => {
  beforeEach(() => {
    store = new BrokenStore()
    handled = []
  })

  const handle: Handle = async (path) => {
    handled.push(path)
    return 200
  }

  test("the error goes to the framework's error handler, and the request is not handled", async () => {
    service = await startService([{ throttle: hourly(1, 'broken') }], handle)
    expect((await get('/')).status).toBe(500)
    expect(handled).toEqual([])
  })

  test('requests pass without a limit where that was allowed', async () => {
    service = await startService([{ throttle: hourly(1, 'broken'), onError: 'allow' }], handle)
    const response = await get('/')
    expect(response.status).toBe(200)
    expect(response.headers.has('ratelimit')).toBe(false)
    expect(handled).toEqual(['/'])
  })

  test('a function is told the error and decides', async () => {
    const errors: string[] = []
    const onError = (error: unknown) => {
      errors.push(String(error))
      return errors.length === 1 ? 'allow' : undefined
    }
    service = await startService([{ throttle: hourly(1, 'broken'), onError }], handle)
    expect([(await get('/')).status, (await get('/')).status]).toEqual([200, 500])
    expect(errors).toEqual(['Error: the disk is full', 'Error: the disk is full'])
  })
})

test.each(frameworks)(
  '%s answers without Redis as it was told, and counts again when Redis is back',
  async (_name, startService) => {
    await using redis = await startRedis()
    store = new RedisStore({ url: redis.url, timeout: 500 })
    const limits: Limit[] = [
      { throttle: hourly(5, 'open'), onError: 'allow' },
      { throttle: hourly(2, 'closed'), skip: ({ path }) => path === '/open' },
    ]
    service = await startService(limits, async () => 200)
    expect(await statusesOf(get('/'), get('/open'))).toEqual([200, 200])
    await redis.kill()
    expect(await statusesOf(get('/'), get('/open'))).toEqual([500, 200])
    await redis.restart()
    await expect.poll(async () => (await get('/open')).headers.get('ratelimit'), PATIENTLY).toContain('"open"')
    expect((await get('/')).headers.get('ratelimit')).toContain('"closed";r=1')
  },
)
