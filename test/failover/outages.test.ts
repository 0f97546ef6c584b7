/** From the first failure of a Redis server to its return: killed, stopped, restarted. */
import { setImmediate as turn } from 'node:timers/promises'
import { DictionaryStore, LimitData, Quota, type RateLimitResult, StoreError, StoreUnavailableError } from 'onrush'
import { describe, expect, test } from 'vitest'
import { stateId } from '../../src/redis/call/state-records.ts'
import { Failover, throttleOn } from '../support/failover/suite.ts'

const MANY = Quota.perHour(1_000_000)
/** The id of the state on which a probe decides, as a call names it. */
const PROBE = String(stateId('gcra:onrush-probe-1s', 2))

describe('a Redis server', () => {
  test('killed under load has every check answered, and is asked again once it is back', async () => {
    await using failover = await Failover.start({ fallback: new DictionaryStore(), breaker: { cooldown: 50 } })
    const throttle = throttleOn(failover.store, MANY)
    const answers: Promise<RateLimitResult>[] = []
    const ask = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        for (let count = 0; count < 20; count++) answers.push(throttle.check(`user:${count}`))
        await turn()
      }
    }
    await ask(50)
    await Promise.all(answers)
    const opened = failover.next('open')
    const killed = failover.redis.kill()
    await ask(100)
    await killed
    await ask(100)
    await opened
    const closed = failover.next('closed')
    await failover.redis.restart()
    await closed
    await ask(50)

    const results = await Promise.all(answers)
    expect(results.every(({ limited }) => !limited)).toBe(true)
    expect(results.slice(0, 1000).some(({ degraded }) => degraded)).toBe(false)
    expect(results.slice(4000, 5000).every(({ degraded }) => degraded)).toBe(true)
    expect(results.slice(-1000).some(({ degraded }) => degraded)).toBe(false)
    expect(failover.changes.find(({ state }) => state === 'open')?.cause).toBeInstanceOf(StoreUnavailableError)
  })

  test('that is stopped is no longer asked, however much is checked, until it has decided a probe', async () => {
    await using failover = await Failover.start({
      fallback: new DictionaryStore(),
      breaker: { failures: 3, cooldown: 20 },
    })
    const throttle = throttleOn(failover.store, MANY)
    failover.redis.pause()
    const first = await Promise.all([throttle.check('ada'), throttle.check('ada'), throttle.check('ada')])
    expect(first.every(({ degraded }) => degraded)).toBe(true)
    expect(failover.changes.at(0)?.cause).toBeInstanceOf(StoreError)

    failover.proxy.record()
    const probed = failover.next('half-open').then(() => failover.next('half-open'))
    for (let count = 0; count < 20_000; count++) expect((await throttle.check('ada')).degraded).toBe(true)
    await probed
    const asked = failover.proxy.recorded.filter(({ command }) => command.startsWith('EVAL'))
    const probes = asked.filter(({ bytes }) => bytes.includes(PROBE))
    expect(probes.length).toBeGreaterThan(0)
    expect(probes.length).toBeLessThan(10)
    expect(asked).toEqual(probes)

    const closed = failover.next('closed')
    failover.redis.resume()
    await closed
    expect((await throttle.check('ada')).degraded).toBe(false)
  })

  test.each([
    ['', undefined],
    [', even for a reason that reads like a failure of a store', new StoreUnavailableError('of another')],
  ])('that does not answer is not to blame for a check that is aborted%s', async (_, reason) => {
    await using failover = await Failover.start({ fallback: 'allow', breaker: { failures: 1 } })
    failover.redis.pause()
    const leaving = new AbortController()
    const check = throttleOn(failover.store).check('ada', 1, { signal: leaving.signal })
    await turn()
    leaving.abort(reason)
    await expect(check).rejects.toBe(leaving.signal.reason)
    expect(failover.changes).toEqual([])
  })

  test('that does not answer is not taken for well because its refusals are answered here', async () => {
    await using failover = await Failover.start({
      fallback: new DictionaryStore(),
      breaker: { failures: 2, cooldown: 60_000 },
      denyCache: { maxSize: 10 },
    })
    const throttle = throttleOn(failover.store)
    await throttle.check('greedy', 10)
    await throttle.check('greedy')
    failover.redis.pause()
    for (let count = 0; count < 2; count++) {
      expect(await throttle.check('greedy')).toMatchObject({ limited: true, degraded: false })
      expect((await throttle.reserve('greedy')).result).toMatchObject({ limited: true, degraded: false })
      expect((await throttle.check('ada')).degraded).toBe(true)
    }
    expect(failover.store.state).toBe('open')
  })

  test('that is a read-only replica is left alone for longer and longer, though it answers pings', async () => {
    await using failover = await Failover.start({ fallback: 'allow', breaker: { failures: 2, cooldown: 20 } })
    const throttle = throttleOn(failover.store, MANY)
    await failover.redis.command('REPLICAOF', '127.0.0.1', '1')
    const opened = failover.next('open')
    await Promise.all([throttle.check('ada'), throttle.check('ben')])
    await opened
    for (let probes = 0; probes < 2; probes++) {
      await failover.next('open')
      // Nobody waits, neither while it is probed nor between.
      expect((await throttle.check('ada')).degraded).toBe(true)
    }
    expect(failover.changes.map(({ state }) => state).filter((state) => state === 'closed')).toEqual([])
    const closed = failover.next('closed')
    await failover.redis.command('REPLICAOF', 'NO', 'ONE')
    await closed
    expect((await throttle.check('ada')).degraded).toBe(false)
  })

  test('that is being probed costs no caller a wait', async () => {
    await using failover = await Failover.start({
      fallback: new DictionaryStore(),
      breaker: { failures: 1, cooldown: 1 },
    })
    const throttle = throttleOn(failover.store, MANY)
    failover.redis.pause()
    const probing = failover.next('half-open')
    await throttle.check('ada')
    await probing
    // The ping is unanswered all the while.
    expect((await throttle.check('ada')).degraded).toBe(true)
    expect(failover.store.state).toBe('half-open')
  })

  test('that comes back settles what it charged itself, and leaves to the fallback what that charged', async () => {
    const fallback = new DictionaryStore()
    await using failover = await Failover.start({ fallback, breaker: { failures: 1, cooldown: 20 } })
    const throttle = throttleOn(failover.store)
    const before = await throttle.reserve('ada', 2)
    failover.redis.pause()
    const during = await throttle.reserve('ada', 2)
    expect([before, during].map(({ result }) => result.degraded)).toEqual([false, true])
    const closed = failover.next('closed')
    failover.redis.resume()
    await closed
    const [settledThere, settledHere] = [await before.settle(4), await during.settle(7)]
    expect(settledThere.degraded).toBe(false)
    // The reservation that was sent while it was stopped may have been counted there too.
    expect([10 - 4, 10 - 4 - 2]).toContain(settledThere.remaining)
    expect([settledHere.degraded, settledHere.remaining]).toEqual([true, 10 - 7])
  })

  test('that is away when its reservation is settled leaves what is more to the fallback, and what is less spent', async () => {
    await using failover = await Failover.start({
      fallback: new DictionaryStore(),
      breaker: { failures: 1, cooldown: 60_000 },
    })
    const throttle = throttleOn(failover.store)
    const [less, more] = [await throttle.reserve('ada', 3), await throttle.reserve('ada', 3)]
    await failover.redis.kill()
    await throttle.check('ada', 4)
    expect((await less.settle(1)).remaining).toBe(6)
    const settled = await more.settle(5)
    expect([settled.degraded, settled.remaining]).toEqual([true, 4])
  })

  test('is cleared together with the fallback', async () => {
    const fallback = new DictionaryStore()
    await using failover = await Failover.start({ fallback })
    const throttle = throttleOn(failover.store)
    const record = await failover.store.set('record', new LimitData({ used: 1, remaining: 9, createdAt: 1 }))
    await throttleOn(fallback).check('ada', 4)
    fallback.set('record', record)
    await throttle.check('ada', 2)
    expect((await throttle.clear('ada')).degraded).toBe(false)
    await failover.store.delete('record')
    expect([(await throttle.peek('ada')).remaining, (await throttleOn(fallback).peek('ada')).remaining]).toEqual([
      10, 10,
    ])
    expect([await failover.store.get('record'), fallback.get('record')]).toEqual([undefined, undefined])
    await throttle.check('ada')
    await throttleOn(fallback).check('ada')
    await failover.store.reset()
    expect([(await throttle.peek('ada')).remaining, (await throttleOn(fallback).peek('ada')).remaining]).toEqual([
      10, 10,
    ])
  })
})
