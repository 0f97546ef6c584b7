/** Every check is settled by its deadline, with the truth about whether it was sent; what was given up before it left never leaves. */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { checkAll, LimitData, Quota, StoreError, StoreTimeoutError, type Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { LIMIT, sharedScene, TIMEOUT } from '../support/faults/ready.ts'
import { openStore, throttleOn } from '../support/faults/suite.ts'
import { freePort } from '../support/servers/server-process.ts'
import { until } from '../support/servers/until.ts'

const shared = sharedScene()
const { ready, calls } = shared

/** Asks while the server stands still, each in a turn of the event loop of its own. */
async function whilePaused<T>(asks: readonly (() => Promise<T>)[]): Promise<PromiseSettledResult<T>[]> {
  shared.scene.server.pause()
  try {
    const asked: Promise<T>[] = []
    for (const ask of asks) {
      asked.push(ask())
      await turn()
    }
    return await Promise.allSettled(asked)
  } finally {
    shared.scene.server.resume()
  }
}

function reasonOf(outcome: PromiseSettledResult<unknown> | undefined): unknown {
  return outcome?.status === 'rejected' ? outcome.reason : undefined
}

describe.each([{ resend: false }, { resend: true }])('with resend: $resend', ({ resend }) => {
  test('whatever is asked of a server that stands still fails in time', async () => {
    await using throttle = await ready({ resend })
    const store = openStore(shared.scene.proxy.port, { timeout: TIMEOUT, resend })
    await store.ping()
    const others = throttleOn(store, LIMIT)
    const asks: (() => Promise<unknown>)[] = [
      () => throttle.check('a'),
      () => throttle.refund('a', 1),
      () => throttle.clear('a'),
      () => throttle.check('a', 2),
      () => throttle.peek('b'),
      () => throttle.reserve('b', 3),
      () => throttle.acquire('c'),
      () =>
        checkAll([
          { throttle, key: 'a' },
          { throttle, key: 'b' },
        ]),
      () => others.check('a'),
      () => store.get('record'),
      () => store.set('record', new LimitData({ used: 0, remaining: 1, createdAt: 0 })),
    ]
    const times: number[] = []
    const outcomes = await whilePaused(
      asks.map((ask) => () => {
        const asked = performance.now()
        return ask().finally(() => times.push(performance.now() - asked))
      }),
    )
    for (const outcome of outcomes) expect(reasonOf(outcome)).toBeInstanceOf(StoreError)
    expect(Math.max(...times)).toBeLessThan(TIMEOUT + 100)
    await until('the server to answer', async () => (await throttle.peek('a')).limit === LIMIT)
    await store.close()
  })

  test('as many are counted as say that they were sent, and the others never are', async () => {
    await using throttle = await ready({ resend })
    const before = await calls()
    const outcomes = await whilePaused(Array.from({ length: 10 }, () => () => throttle.check('key')))
    const sent = outcomes.map(reasonOf).map((error) => error instanceof StoreTimeoutError && error.sent)
    const counted = sent.filter((was) => was).length
    // Three calls leave at once; what has gathered meanwhile leaves when the first of them is given up, or never.
    expect(counted).toBeGreaterThanOrEqual(3)
    await until('the server to have done what it was sent', async () => (await calls()) >= before + 3)
    await sleep(50)
    expect(await throttle.peek('key')).toMatchObject({ remaining: LIMIT - counted })
  })

  test('what waits for its turn on a key fails in time, even where the call before it is later', async () => {
    const timeout = 400
    await using throttle = await ready({ resend, timeout })
    const named = (count: number) => ({ rate: Quota.perDay(count, { name: 'plan' }) })
    const times: number[] = []
    shared.scene.server.pause()
    const under = Array.from({ length: 3 }, (_, index) => sleep(index * 5).then(() => throttle.check('other')))
    await sleep(50)
    const asked = performance.now()
    // These numbers of one state cannot share a call, so the second waits for the first; which later checks join.
    const waiting = [throttle.clear('turn', named(10)), throttle.check('turn', 1, named(20))]
    for (const each of waiting) each.catch(() => times.push(performance.now() - asked))
    await sleep(timeout - 100)
    const later = throttle.check('later')
    const outcomes = await Promise.allSettled([...under, ...waiting, later])
    shared.scene.server.resume()
    expect(outcomes.map(reasonOf).every((reason) => reason instanceof StoreError)).toBe(true)
    expect(times).toHaveLength(2)
    expect(Math.max(...times)).toBeLessThan(timeout + 100)
  })

  test('what a replica refuses was not counted: it is given up as not sent, and says why', async () => {
    await using throttle = await ready({ resend })
    await shared.scene.server.command('REPLICAOF', '127.0.0.1', await freePort())
    const errors: unknown[] = []
    // Of those that were in flight just then nobody knows, so they say that they were sent.
    await until('a check to be given up between two tries', async () => {
      errors.push(await throttle.check('refused').catch((reason: unknown) => reason))
      return errors.some((error) => error instanceof StoreTimeoutError && !error.sent)
    })
    await shared.scene.server.command('REPLICAOF', 'NO', 'ONE')
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'StoreTimeoutError', message: expect.stringContaining('READONLY') })
    }
    expect(await throttle.peek('refused')).toMatchObject({ remaining: LIMIT })
  })

  test('who is given up between two tries is not in the next', async () => {
    await using throttle = await ready({ resend, timeout: 2000 })
    await shared.scene.server.command('REPLICAOF', '127.0.0.1', await freePort())
    const controller = new AbortController()
    const stays = throttle.check('tried again')
    const leaves = Array.from({ length: 5 }, () => throttle.check('tried again', 1, { signal: controller.signal }))
    const outcomes = Promise.allSettled(leaves)
    await sleep(100)
    controller.abort('enough')
    await shared.scene.server.command('REPLICAOF', 'NO', 'ONE')
    expect(await stays).toMatchObject({ remaining: LIMIT - 1 })
    expect((await outcomes).map(reasonOf)).toEqual(Array(5).fill('enough'))
    expect(await throttle.peek('tried again')).toMatchObject({ remaining: LIMIT - 1 })
  })

  test('what is given up while there is no connection says that it was not sent, and never is', async () => {
    await using throttle = await ready({ resend })
    shared.scene.proxy.faults.blackHole()
    shared.scene.proxy.faults.resetAll()
    await until('a connection that is not answered', () => isOpening(throttle))
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => throttle.check('away')))
    for (const outcome of outcomes) expect(reasonOf(outcome)).toMatchObject({ name: 'StoreTimeoutError', sent: false })
    shared.scene.proxy.faults.pass()
    await until('the connection', async () => (await throttle.peek('away')).remaining === LIMIT)
  })
})

/** A check is not refused at once then, but waits. */
async function isOpening(throttle: Throttle): Promise<boolean> {
  const refused = await Promise.race([throttle.peek('away').catch(() => true), sleep(20, false)])
  return refused === false
}

describe('a signal', () => {
  test('that aborts before the call leaves: the check rejects with the reason and is never sent', async () => {
    await using throttle = await ready()
    const before = await calls()
    const controller = new AbortController()
    const check = throttle.check('signal', 1, { signal: controller.signal })
    const all = throttle.reserve('signal', 1, { signal: controller.signal })
    const reason = new Error('the caller has left')
    controller.abort(reason)
    await expect(check).rejects.toBe(reason)
    await expect(all).rejects.toBe(reason)
    await turn()
    expect(await calls()).toBe(before)
    expect(await throttle.peek('signal')).toMatchObject({ remaining: LIMIT })
  })

  test('that aborts while the check waits for a call: it is taken out, and the others are counted', async () => {
    await using throttle = await ready()
    const controller = new AbortController()
    const stopped = { signal: controller.signal }
    shared.scene.proxy.faults.holdReplies()
    const under = Array.from({ length: 3 }, async (_, index) => {
      for (let turns = 0; turns < index; turns++) await turn()
      return throttle.check('merged')
    })
    for (let turns = 0; turns < 5; turns++) await turn()
    const waiting = [
      throttle.check('merged', 1, stopped),
      throttle.check('merged'),
      throttle.check('merged', 1, stopped),
    ]
    const outcomes = Promise.allSettled(waiting)
    await turn()
    controller.abort('enough')
    shared.scene.proxy.faults.pass()
    await Promise.all(under)
    expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
    expect((await outcomes).map(reasonOf)).toEqual(['enough', undefined, 'enough'])
    expect(await throttle.peek('merged')).toMatchObject({ remaining: LIMIT - 4 })
  })

  test('that aborts when the check has left ends the wait at once, and the check may be counted', async () => {
    await using throttle = await ready()
    shared.scene.server.pause()
    const controller = new AbortController()
    const check = throttle.check('left', 1, { signal: controller.signal })
    await sleep(20)
    controller.abort('enough')
    const asked = performance.now()
    await expect(check).rejects.toBe('enough')
    expect(performance.now() - asked).toBeLessThan(TIMEOUT)
    shared.scene.server.resume()
    await until('the check to be counted', async () => (await throttle.peek('left')).remaining === LIMIT - 1)
  })
})
