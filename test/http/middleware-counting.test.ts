/** The requests that every middleware counts if only some responses count, over real HTTP. */
import http from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BaseStore, DictionaryStore, type Throttle } from '../../src/index.ts'
import { frameworks, type Handle, type Limit, type Service } from '../support/http/servers.ts'
import { SlowStore } from '../support/http/stores.ts'
import { frameworksOnStores, getFrom, hourlyOn, PATIENTLY, statusesOf, statusIn } from '../support/http/visits.ts'

let service: Service | undefined
let store: BaseStore

afterEach(async () => {
  await service?.close()
  service = undefined
  await store.close()
})

const hourly = (count: number, name: string) => hourlyOn(store, count, name)
const get = (path: string, user?: string) => getFrom(service, path, user)

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

/** A handler that keeps its requests in flight until they are let go. */
class HeldHandler {
  #count = 0
  #letGo: (() => void)[] = []
  #holds = true

  readonly handle: Handle = async (path) => {
    this.#count++
    if (this.#holds) await new Promise<void>((resolve) => this.#letGo.push(resolve))
    return statusIn(path)
  }

  async until(count: number): Promise<void> {
    await expect.poll(() => this.#count, PATIENTLY).toBe(count)
  }

  letGo(): void {
    for (const letGo of this.#letGo.splice(0)) letGo()
  }

  /** Lets go, and holds none that come later. */
  open(): void {
    this.#holds = false
    this.letGo()
  }
}

describe.each(frameworksOnStores())('$framework on $storeName', ({ startService, makeStore }) => {
  beforeEach(() => {
    store = makeStore()
  })

  async function start(...limits: Limit[]): Promise<void> {
    service = await startService(limits, async (path) => statusIn(path))
  }

  describe('counting only some responses', () => {
    let held: HeldHandler

    beforeEach(() => {
      held = new HeldHandler()
    })

    async function startHeld(limit: Limit): Promise<void> {
      service = await startService([limit], held.handle)
    }

    /** Waits until so many units are left, because giving back after a response may take a moment. */
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

    test('no more requests are in flight at once than the quota allows', async () => {
      const throttle = hourly(2, 'under-way')
      await startHeld({ throttle, counted: 'failed' })
      const first = [get('/200'), get('/200')]
      await held.until(2)
      expect((await get('/200')).status).toBe(429)
      held.letGo()
      expect(await statusesOf(...first)).toEqual([200, 200])
      await untilLeft(throttle, 2)
    })

    test('leaving before the response makes no failed request free', async () => {
      const throttle = hourly(2, 'left-early')
      await startHeld({ throttle, counted: 'failed' })
      for (const count of [1, 2]) {
        const leave = askAndLeave('/401')
        await held.until(count)
        await leave()
      }
      held.open()
      expect((await get('/401')).status).toBe(429)
      await untilLeft(throttle, 0)
    })

    test('nothing is held for a client that left where leavers do not count, and nothing is put right twice', async () => {
      const throttle = hourly(1, 'left')
      const errors: unknown[] = []
      const onError = (error: unknown) => errors.push(error)
      await startHeld({ throttle, counted: 'failed', countLeavers: false, onError })
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

test.each(frameworks)('%s counts all but those who left where that was asked', async (_name, startService) => {
  store = new DictionaryStore()
  const held = new HeldHandler()
  const throttle = hourly(1, 'all-but-leavers')
  service = await startService([{ throttle, countLeavers: false }], held.handle)
  const leave = askAndLeave('/200')
  await held.until(1)
  await leave()
  await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(1)
  const answered = get('/200')
  await held.until(2)
  held.letGo()
  expect((await answered).status).toBe(200)
  expect((await throttle.peek('ann')).remaining).toBe(0)
})

// Only a Hono or fetch handler answers its status to the middleware, whether or not anybody waits for the answer.
test.each(frameworks.filter(([name]) => name === 'Hono' || name === 'fetch'))(
  '%s counts a request that was left by the status that its handler answers',
  async (_name, startService) => {
    store = new DictionaryStore()
    const held = new HeldHandler()
    const throttle = hourly(2, 'own-outcome')
    service = await startService([{ throttle, counted: 'failed' }], held.handle)
    for (const [path, count, left] of [
      ['/200', 1, 2],
      ['/401', 2, 1],
    ] as const) {
      const leave = askAndLeave(path)
      await held.until(count)
      await leave()
      expect((await throttle.peek('ann')).remaining).toBe(1)
      held.letGo()
      await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(left)
    }
  },
)

test.each(frameworks)('%s lets nobody off who left while the store was asked', async (_name, startService) => {
  const slow = new SlowStore()
  store = slow
  const held = new HeldHandler()
  const throttle = hourly(1, 'asked-counted')
  service = await startService([{ throttle, counted: 'failed' }], held.handle)
  const leave = askAndLeave('/401')
  await expect.poll(() => slow.waiting, PATIENTLY).toBe(1)
  await leave()
  slow.letGo()
  await held.until(1)
  held.open()
  expect((await get('/401')).status).toBe(429)
})

test.each(frameworks)(
  '%s holds nothing for a client that left while the store was asked, where leavers do not count',
  async (_name, startService) => {
    const slow = new SlowStore()
    store = slow
    const held = new HeldHandler()
    const throttle = hourly(1, 'asked')
    service = await startService([{ throttle, counted: 'failed', countLeavers: false }], held.handle)
    const leave = askAndLeave('/401')
    await expect.poll(() => slow.waiting, PATIENTLY).toBe(1)
    await leave()
    slow.letGo()
    await expect.poll(async () => (await throttle.peek('ann')).remaining, PATIENTLY).toBe(1)
    held.letGo()
  },
)
