/** Callers of several processes wait for permits: each store object is a process of its own to the queue. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BaseStore, ConcurrencyLimiter, DictionaryStore, Quota, type Reservation, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import type { Grants } from '../../src/operations/grants.ts'
import { PermitDesk } from '../../src/permits/desk.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

function throttleOn(store: BaseStore, count = 1, lease = '15s'): Throttle {
  return new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(count, { lease }) })
}

/** Two throttles on one key space: of two store objects where the store can be shared. */
function pair(kind: string, count = 1): { one: Throttle; other: Throttle; close(): Promise<void> } {
  const prefix = uniquePrefix()
  const stores = kind === 'Redis' ? [suite.store({ prefix }), suite.store({ prefix })] : [new DictionaryStore()]
  const [first, second = first] = stores
  if (first === undefined || second === undefined) throw new Error('no store')
  return {
    one: throttleOn(first, count),
    other: throttleOn(second, count),
    close: async () => {
      for (const store of stores) await store.close()
    },
  }
}

describe.each(['Redis', 'Dictionary'])('on %s', (kind) => {
  test('first come, first served over all processes', async () => {
    const { one, other, close } = pair(kind)
    const held = await one.reserve('key')
    const served: number[] = []
    const waiting: Promise<void>[] = []
    for (let turn = 0; turn < 12; turn++) {
      const throttle = turn % 3 === 0 ? one : other
      waiting.push(
        throttle.reserve('key', 1, { maxWait: '50s' }).then(async (permit) => {
          expect(permit.result.limited).toBe(false)
          served.push(turn)
          await permit.settle()
        }),
      )
      // So that the server is asked in this order.
      await throttle.peek('key')
      if (turn === 0) await sleep(200)
    }
    await held.settle()
    await Promise.all(waiting)
    expect(served).toEqual(Array.from({ length: 12 }, (_, turn) => turn))
    expect((await one.peek('key')).remaining).toBe(1)
    await close()
  })

  test('higher priorities come first, and a full queue refuses at once', async () => {
    const { one, other, close } = pair(kind)
    const held = await one.reserve('key')
    const served: number[] = []
    const waiting: Promise<unknown>[] = []
    for (const priority of [0, -5, 5, 1]) {
      waiting.push(
        other.reserve('key', 1, { maxWait: '50s', priority }).then((permit) => {
          served.push(priority)
          return permit.settle()
        }),
      )
      await other.peek('key')
    }
    await sleep(100)
    const refused = await one.reserve('key', 1, { maxWait: '50s', maxQueue: 4 })
    expect(refused.result).toMatchObject({ limited: true, remaining: 0 })
    await held.settle()
    await Promise.all(waiting)
    expect(served).toEqual([5, 1, 0, -5])
    await close()
  })

  test('a first waiter that is larger than what is free holds back those behind it, and lets them in when it leaves', async () => {
    const { one, other, close } = pair(kind, 3)
    const held = await one.reserve('key', 2)
    const leaving = new AbortController()
    const large = other.reserve('key', 3, { maxWait: '50s', signal: leaving.signal })
    await other.peek('key')
    await sleep(100)
    let small: Reservation | undefined
    const behind = one.reserve('key', 1, { maxWait: '50s' }).then((permit) => {
      small = permit
    })
    expect((await one.reserve('key')).result.limited).toBe(true)
    await sleep(100)
    expect(small).toBeUndefined()
    leaving.abort(new Error('gone'))
    await expect(large).rejects.toThrow('gone')
    await behind
    expect(small?.result.limited).toBe(false)
    await held.settle()
    await small?.settle()
    expect((await one.peek('key')).remaining).toBe(3)
    await close()
  })

  test('many callers share few permits, never more at once, and each gets its turn', async () => {
    const { one, other, close } = pair(kind, 3)
    let busy = 0
    let most = 0
    const tokens: number[] = []
    const work = async (throttle: Throttle) => {
      await using permit = await throttle.reserve('key', 1, { maxWait: '50s' })
      expect(permit.result.limited).toBe(false)
      tokens.push(permit.token ?? 0)
      busy++
      most = Math.max(most, busy)
      await sleep(1)
      busy--
    }
    await Promise.all(Array.from({ length: 300 }, (_, turn) => work(turn % 2 === 0 ? one : other)))
    expect(most).toBe(3)
    expect(new Set(tokens).size).toBe(300)
    expect((await one.peek('key')).remaining).toBe(3)
    await close()
  })
})

test('a process is told that its turn has come, and need not ask', async () => {
  const { one, other, close } = pair('Redis')
  // Until it listens.
  const warm = await one.reserve('key')
  const before = other.reserve('key', 1, { maxWait: '50s' })
  await sleep(300)
  await warm.settle()
  let held = await before
  const times: number[] = []
  for (let round = 0; round < 20; round++) {
    const next = other.reserve('key', 1, { maxWait: '50s' })
    await sleep(20)
    const since = performance.now()
    await held.settle()
    held = await next
    times.push(performance.now() - since)
  }
  await held.settle()
  // A process that asks would take 25 ms and more, again and again.
  expect(times.toSorted((a, b) => a - b)[5]).toBeLessThan(20)
  await close()
})

test('permits that a process finds before it is told of them keep the tokens of their grants', async () => {
  const prefix = uniquePrefix()
  const [one, other] = [suite.store({ prefix }), suite.store({ prefix })]
  const { desk } = other
  if (!(desk instanceof PermitDesk)) throw new Error('the store has another desk')
  // Until it listens.
  const warm = await throttleOn(one, 1, '1h').reserve('warm')
  const waits = throttleOn(other, 1, '1h').reserve('warm', 1, { maxWait: '50s' })
  await until('it listens', async () => {
    const channels = await suite.client.call('PUBSUB', 'CHANNELS', `${prefix}:wake:*`)
    return Array.isArray(channels) && channels.length > 0
  })
  await warm.settle()
  await (await waits).settle()
  const held = await Promise.all(Array.from({ length: 6 }, () => throttleOn(one, 6, '1h').reserve('key')))
  const waiting = held.map(() => throttleOn(other, 6, '1h').reserve('key', 1, { maxWait: '50s' }))
  await throttleOn(other, 6, '1h').peek('key')
  const told = desk.told.bind(desk)
  const message = new Promise<Grants>((resolve) => {
    desk.told = resolve
  })
  await Promise.all(held.map((permit) => permit.settle()))
  const grants = await message
  expect(grants.tickets).toHaveLength(6)
  // The process looks at the first of those that wait. The message comes in the turn of the answer, but after it.
  const answered = (): void => {
    setImmediate(() => told(grants))
  }
  subscribe('onrush:batch', answered)
  const permits = await Promise.all(waiting)
  unsubscribe('onrush:batch', answered)
  expect(permits.map(({ token }) => token)).toEqual(grants.tickets.map(({ token }) => token))
  await one.close()
  await other.close()
})

test('a process that died while it waited stops nobody', async () => {
  const prefix = uniquePrefix()
  const dead = suite.client.duplicate()
  const doomed = suite.store({ prefix, client: dead })
  const store = suite.store({ prefix })
  const held = await throttleOn(store).reserve('key')
  const lost = throttleOn(doomed).reserve('key', 1, { maxWait: '50s' })
  lost.catch(() => {})
  await sleep(300)
  // Nothing of it reaches the server any more: neither its messages nor its calls.
  dead.disconnect()
  const clients = String(await suite.client.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
  for (const [, id = ''] of clients.matchAll(/^id=(\d+)/gm)) await suite.client.call('CLIENT', 'KILL', 'ID', id)
  const next = throttleOn(store).reserve('key', 1, { maxWait: '50s' })
  await sleep(50)
  const since = performance.now()
  await held.settle()
  const { result } = await next
  expect(result.limited).toBe(false)
  expect(performance.now() - since).toBeLessThan(10_000)
  await store.close()
})

test('a lease that lapses is handed on to who waits', async () => {
  const prefix = uniquePrefix()
  const dead = suite.client.duplicate()
  const doomed = suite.store({ prefix, client: dead })
  const store = suite.store({ prefix })
  const lost = await throttleOn(doomed, 1, '500ms').reserve('key')
  dead.disconnect()
  const { result } = await throttleOn(store, 1, '500ms').reserve('key', 1, { maxWait: '50s' })
  expect(result.limited).toBe(false)
  if (!lost.signal.aborted) await new Promise((resolve) => lost.signal.addEventListener('abort', resolve))
  await store.close()
})

test('a flush loses no waiter: it asks again with its turn', async () => {
  const prefix = uniquePrefix()
  const store = suite.store({ prefix })
  const throttle = throttleOn(store)
  const held = await throttle.reserve('key')
  const waiting = throttle.reserve('key', 1, { maxWait: '50s' })
  await sleep(200)
  await store.reset()
  expect((await waiting).result.limited).toBe(false)
  expect(held.result.limited).toBe(false)
  await store.close()
})

test('what a store holds is ended when it is closed, and its waiters leave', async () => {
  const prefix = uniquePrefix()
  const closing = suite.store({ prefix })
  const store = suite.store({ prefix })
  const held = await throttleOn(closing).reserve('key')
  const waiting = throttleOn(closing).reserve('key', 1, { maxWait: '50s' })
  await sleep(100)
  const left = expect(waiting).rejects.toThrow('closed')
  await closing.close()
  await left
  expect(held.signal.aborted).toBe(true)
  expect((await throttleOn(store).peek('key')).remaining).toBe(1)
  await store.close()
})
