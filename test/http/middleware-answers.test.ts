/** The answers of every middleware, also when its store fails, over real HTTP. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BaseStore, RedisStore } from '../../src/index.ts'
import { frameworks, type Handle, type Limit, type Service } from '../support/http/servers.ts'
import { BrokenStore } from '../support/http/stores.ts'
import { frameworksOnStores, getFrom, hourlyOn, PATIENTLY, statusesOf, statusIn } from '../support/http/visits.ts'
import { startRedis } from '../support/servers/redis.ts'

let service: Service | undefined
let store: BaseStore
let handled: string[]

afterEach(async () => {
  await service?.close()
  service = undefined
  await store.close()
})

const hourly = (count: number, name: string) => hourlyOn(store, count, name)
const get = (path: string, user?: string) => getFrom(service, path, user)

describe.each(frameworksOnStores())('$framework on $storeName', ({ startService, makeStore }) => {
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

  test('a rate may be fixed, or chosen for each request', async () => {
    const fixed = { throttle: hourly(100, 'calls'), rate: '3/hour name fixed' }
    await start(fixed, { ...fixed, rate: ({ user }) => (user === 'ann' ? undefined : '1/hour name own') })
    const answers = [await get('/', 'bob'), await get('/', 'bob'), await get('/', 'ann')]
    expect(answers.map(({ status }) => status)).toEqual([200, 429, 200])
    // Some frameworks append the fields of the outer limit last.
    expect(answers.map(({ headers }) => headers.get('ratelimit')?.split(', ').sort())).toEqual([
      ['"fixed";r=2;t=1200', '"own";r=0;t=3600'],
      ['"fixed";r=1;t=1200', '"own";r=0;t=3600'],
      ['"calls";r=99;t=36', '"fixed";r=2;t=1200'],
    ])
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
})

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
    store = new RedisStore({ url: redis.url, timeout: 5000 })
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
