/** Throttles that share a store: each has calls of its own if that costs less, and the answers are those of a single call. */
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import {
  type BatchEvent,
  checkAll,
  GcraLimiter,
  PeriodicLimiter,
  Quota,
  type RateLimitResult,
  type RedisStore,
  StoreTimeoutError,
  subscribe,
  Throttle,
} from 'onrush'
import { beforeAll, describe, expect, test } from 'vitest'
import { layersOf } from '../../src/limiters/limiters.ts'
import { Batch } from '../../src/redis/call/batch.ts'
import { CompiledLayers } from '../../src/redis/call/layers.ts'
import { PendingCheck } from '../../src/redis/call/request.ts'
import { runs } from '../support/exact/pair.ts'
import { Scene } from '../support/faults/suite.ts'
import { LIMITERS } from '../support/limiters.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

beforeAll(() => makeScriptsKnown(suite.both(0)))

const DAYS = [1, 2, 3].map((days) => new Quota({ count: 1000, period: days * 86_400_000 }))

/** Throttles that have no state in common. */
function three(store: RedisStore): Throttle[] {
  return DAYS.map((rate) => new Throttle({ limiter: new GcraLimiter({ store }), rate }))
}

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${index}`)
}

/** The numbers of checks and keys of each call that `work` makes, when the client is connected: fewest checks first. */
async function callsOf(work: () => Promise<unknown>): Promise<string[]> {
  const events: BatchEvent[] = []
  await work()
  // Until the turn is over in which callers were answered.
  await setImmediate()
  const unsubscribe = subscribe('onrush:batch', (event) => events.push(event))
  try {
    await work()
  } finally {
    unsubscribe()
  }
  return events.sort((a, b) => a.checks - b.checks).map(({ checks, keys }) => `${checks} of ${keys}`)
}

describe('the checks of one turn', () => {
  test('of several throttles leave in a call for each, though all ask about the same keys', async () => {
    const throttles = three(suite.store())
    const work = () => Promise.all(keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key))))
    expect(await callsOf(work)).toEqual(Array.from({ length: 3 }, () => '20 of 20'))
  })

  test('fill a call for each throttle, and no call beyond its bound', async () => {
    const throttles = three(suite.store()).slice(1)
    const work = () => Promise.all(keys(300).flatMap((key) => throttles.map((throttle) => throttle.check(key))))
    expect(await callsOf(work)).toEqual([44, 44, 128, 128, 128, 128].map((count) => `${count} of ${count}`))
  })

  test('of many throttles share a call where none has many', async () => {
    const store = suite.store()
    const limiter = new GcraLimiter({ store })
    const throttles = keys(40).map((_, index) => new Throttle({ limiter, rate: Quota.perDay(100 + index) }))
    const [busy] = throttles
    const work = () =>
      Promise.all([...throttles.map((throttle) => throttle.check('user')), ...keys(50).map((key) => busy?.check(key))])
    expect(await callsOf(work)).toEqual(['39 of 1', '51 of 51'])
  })

  test('of throttles with a state in common share a call', async () => {
    const store = suite.store()
    const limiter = new GcraLimiter({ store })
    const rates = [DAYS.slice(0, 1), DAYS.slice(0, 2), DAYS.slice(1, 3)]
    const throttles = rates.map((rate) => new Throttle({ limiter, rate }))
    const work = () => Promise.all(keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key))))
    expect(await callsOf(work)).toEqual(['60 of 20'])
  })

  test('merge with equal ones on their key, whatever other throttles ask about the key in between', async () => {
    const throttles = three(suite.store())
    const ask = () => keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key)))
    expect(await callsOf(() => Promise.all([...ask(), ...ask()]))).toEqual(Array.from({ length: 3 }, () => '40 of 20'))
  })
})

const LAYERS = [
  Quota.perSecond(3),
  Quota.perSecond(7, { maximumBurst: 2 }),
  Quota.perMinute(4),
  new Quota({ count: 5, period: 1000, name: 'policy' }),
  new Quota({ count: 2, period: 1000, maximumBurst: 9, name: 'policy' }),
]

test('whatever several throttles are asked in one turn is answered as if asked one by one', async () => {
  const layer = fc.record({ counting: fc.constantFrom(...LIMITERS), rate: fc.constantFrom(...LAYERS) })
  const layers = fc.uniqueArray(layer, {
    minLength: 1,
    maxLength: 2,
    selector: ({ counting, rate }) => `${counting.name} ${rate.stateName}`,
  })
  const question = fc.record({
    does: fc.oneof(
      { weight: 80, arbitrary: fc.constant('check' as const) },
      { weight: 1, arbitrary: fc.constantFrom('clear' as const, 'refund' as const, 'checkAll' as const) },
    ),
    throttle: fc.nat({ max: 3 }),
    key: fc.nat({ max: 120 }),
    quantity: fc.oneof({ weight: 80, arbitrary: fc.constant(1) }, fc.nat({ max: 3 })),
  })
  const turns = fc.array(fc.array(question, { minLength: 50, maxLength: 300, size: 'max' }), {
    minLength: 1,
    maxLength: 3,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(layers, { minLength: 2, maxLength: 4 }), turns, async (choices, list) => {
      const both = suite.both(1_700_000_000_000_000)
      const pairs = choices.map((choice) => both.throttle(choice))
      const on = (side: 'local' | 'remote', { does, throttle: which, key: number, quantity }: (typeof list)[0][0]) => {
        const throttle = pairs[which % pairs.length]?.[side]
        if (throttle === undefined) throw new RangeError('no throttle')
        const key = `key ${number}`
        if (does === 'clear') return throttle.clear(key)
        if (does !== 'checkAll') return throttle[does](key, quantity)
        return checkAll([
          { throttle, key, quantity },
          { throttle, key: `key ${number + 1}`, quantity },
        ])
      }
      for (const turn of list) {
        both.now += 300_000
        const answers = await Promise.all(turn.map((each) => on('remote', each)))
        const expected: RateLimitResult[] = []
        for (const each of turn) expected.push(await on('local', each))
        expect(answers).toStrictEqual(expected)
      }
      await both.expectSameStates(keys(122))
    }),
    runs(15),
  )
})

describe('when the calls of several throttles leave together', () => {
  test('a check that is aborted before is in none of them', async () => {
    const throttles = three(suite.store())
    const controller = new AbortController()
    const { signal } = controller
    const checks = keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key, 1, { signal })))
    const kept = keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key, 2)))
    controller.abort(new Error('gone'))
    expect((await Promise.allSettled(checks)).map(({ status }) => status)).toEqual(checks.map(() => 'rejected'))
    expect((await Promise.all(kept)).map(({ remaining }) => remaining)).toEqual(kept.map(() => 998))
  })

  test('each fails at the deadline where nothing is answered, and then all are counted as asked', async () => {
    await using scene = await Scene.start({ timeout: 1000 })
    const throttles = three(scene.store)
    const ask = () => Promise.allSettled(keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key))))
    await ask()
    scene.proxy.faults.blackHole()
    for (const outcome of await ask()) expect(outcome).toMatchObject({ reason: expect.any(StoreTimeoutError) })
    scene.proxy.faults.pass()
    scene.proxy.faults.resetAll()
    await expect
      .poll(async () => (await ask()).every(({ status }) => status === 'fulfilled'), { timeout: 20_000 })
      .toBe(true)
  })

  test('each that is lost is asked again with resend, and counted once', async () => {
    await using scene = await Scene.start({ resend: true, timeout: 20_000 })
    // Of windows, so that nothing comes back while the test runs.
    const limiter = new PeriodicLimiter({ store: scene.store })
    const throttles = DAYS.map((rate) => new Throttle({ limiter, rate }))
    const ask = () => Promise.all(keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key))))
    await ask()
    for (let lost = 1; lost <= 4; lost++) {
      scene.proxy.faults.dropReplies({ command: 'EVALSHA', times: lost, reset: true })
      expect((await ask()).map(({ remaining }) => remaining)).toEqual(Array.from({ length: 60 }, () => 999 - lost))
    }
  })

  test('a clear waits for all that its key is in, also for a call that is sent again', async () => {
    await using scene = await Scene.start({ timeout: 20_000 })
    const throttles = three(scene.store)
    const ask = (quantity: number) =>
      keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key, quantity)))
    await Promise.all(ask(0))
    await scene.server.command('SCRIPT', 'FLUSH')
    // Makes the script of operations known, and no other.
    await throttles[0]?.clear('another')
    const before = ask(10)
    await setImmediate()
    const cleared = throttles.map((throttle) => throttle.clear('key 7'))
    const after = ask(1)
    await Promise.all([...before, ...cleared])
    const left = (await Promise.all(after)).map(({ remaining }) => remaining)
    expect(left).toEqual(keys(20).flatMap((key) => DAYS.map(() => (key === 'key 7' ? 999 : 989))))
  })

  test('the batch is finished when the last has returned', () => {
    const batch = new Batch({
      id: 0,
      tag: '',
      node: { address: '', silentSince: undefined, keysReturning: 0, keysAnswered: 0, lacksMsetex: false },
      acrossSlots: false,
    })
    for (const { limiter, rate } of DAYS.map((day) => ({
      limiter: new GcraLimiter({ store: suite.store() }),
      rate: day,
    }))) {
      const decider = new CompiledLayers(layersOf(limiter, rate))
      for (const key of keys(8))
        batch.addCheck(
          decider,
          key,
          1,
          new PendingCheck(
            () => {},
            () => {},
            0,
          ),
        )
    }
    const parts = batch.split()
    const finished = parts.map((part) => {
      part.finish()
      return batch.isFinished
    })
    expect(finished).toEqual([false, false, true])
  })

  test('close answers them first', async () => {
    await using scene = await Scene.start({ timeout: 20_000 })
    const throttles = three(scene.store)
    const ask = () => keys(20).flatMap((key) => throttles.map((throttle) => throttle.check(key)))
    await Promise.all(ask())
    const checks = ask()
    await scene.store.close()
    expect((await Promise.all(checks)).map(({ remaining }) => remaining)).toEqual(checks.map(() => 998))
  })
})
