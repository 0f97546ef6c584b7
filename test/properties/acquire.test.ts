/** Waiting for a turn on GCRA: each wait is exact, and so are the units left for later callers. */
import fc from 'fast-check'
import { GcraLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { layersOf } from '../../src/limiters/limiters.ts'
import { giveUpTurn } from '../../src/operations/give-up-turn.ts'
import { type Promised, takeTurn } from '../../src/operations/take-turn.ts'
import { command, instant, quantity, sequence, starts } from '../support/exact/arbitraries.ts'
import { ExactGcra } from '../support/exact/gcra.ts'
import { acquire, check, type ExactTurn, type ExactVacancies, waitOf } from '../support/exact/layers.ts'
import { expectExact, runs, Timeline } from '../support/exact/pair.ts'

const HOUR = 3_600_000_000
/** In µs. */
const LONG = 60_000_000n

const slow = fc
  .record({
    count: fc.integer({ min: 1, max: 12 }),
    microseconds: fc.constantFrom(HOUR, 2 * HOUR + 1, 24 * HOUR),
    maximumBurst: fc.nat({ max: 3 }),
  })
  .map(({ count, microseconds, maximumBurst }) => new Quota({ count, period: microseconds / 1000, maximumBurst }))
const rates = fc.uniqueArray(slow, { minLength: 1, maxLength: 3, selector: (quota) => quota.name })

const ACTIONS = ['acquire', 'acquire', 'acquire', 'check', 'give up'] as const

const events = sequence(
  fc.record({
    next: command(),
    does: fc.constantFrom(...ACTIONS),
    patience: fc.constantFrom(-1n, 0n, 0n, 1n, 1_000_000n),
    which: fc.nat({ max: 5 }),
  }),
)

interface Waiter {
  readonly turn: ExactTurn
  readonly promised: Promised
}

test('a turn is promised, refused, given up and taken over as exact arithmetic says', async () => {
  await fc.assert(
    fc.asyncProperty(starts, rates, events, async (start, rate, list) => {
      const timeline = new Timeline(start)
      const limiter = new GcraLimiter({ store: timeline.store })
      const decider = timeline.store.decider(layersOf(limiter, rate))
      const throttle = new Throttle({ limiter, rate })
      const models = rate.map((quota) => new ExactGcra(quota))
      const peek = () => check(timeline.now, models, 0n)
      const vacancies: ExactVacancies = []
      const waiting: Waiter[] = []

      async function giveUp({ turn, promised }: Waiter): Promise<void> {
        turn.giveUp(timeline.now)
        await decider.operate('key', giveUpTurn, promised)
      }

      async function waitForTurn(asked: bigint, patience: bigint): Promise<void> {
        const needed = waitOf(timeline.now, models, asked)
        const maxWait = needed === 'never' ? LONG : needed + patience < 0n ? 0n : needed + patience
        const turn = acquire(timeline.now, models, asked, maxWait, vacancies)
        const promised = await decider.operate('key', takeTurn, {
          quantity: Number(asked),
          longest: Number(maxWait),
          mayTakeVacancy: true,
        })
        expectExact(promised.result, turn.result)
        if (turn.limited || turn.wait === 'never') return
        expect(promised.wait).toBe(Number(turn.wait))
        waiting.push({ turn, promised })
      }

      for (const { next, does, patience, which } of list) {
        timeline.now = instant(next.step, timeline.now, models, peek())
        const asked = quantity(next.amount, timeline.now, models)
        if (does === 'check') expectExact(throttle.checkSync('key', Number(asked)), check(timeline.now, models, asked))
        if (does === 'acquire' && asked > 0n) await waitForTurn(asked, patience)
        if (does === 'give up') for (const waiter of waiting.splice(which, 1)) await giveUp(waiter)
        expectExact(throttle.peekSync('key'), peek())
      }
      for (const waiter of waiting.splice(0)) await giveUp(waiter)
      expectExact(throttle.peekSync('key'), peek())
    }),
    runs(200),
  )
})

test('whatever is left and taken over, the starts that happen are never more than each quota allows', async () => {
  const turns = fc.array(
    fc.record({
      elapsed: fc.nat({ max: 400 }),
      quantity: fc.integer({ min: 1, max: 2 }),
      leaves: fc.boolean(),
      which: fc.nat(),
    }),
    { minLength: 10, maxLength: 60, size: 'max' },
  )
  await fc.assert(
    fc.asyncProperty(rates, turns, async (rate, list) => {
      const timeline = new Timeline(1_800_000_000_000_000n)
      const limiter = new GcraLimiter({ store: timeline.store })
      const decider = timeline.store.decider(layersOf(limiter, rate))
      const promised: { start: bigint; quantity: bigint; turn: Promised }[] = []
      const longest = Math.max(...rate.map(({ periodMicroseconds }) => periodMicroseconds))
      for (const { elapsed, quantity, leaves, which } of list) {
        timeline.now += BigInt(Math.round((longest * elapsed) / 1000))
        const asked = { quantity, longest: 20 * longest, mayTakeVacancy: true }
        const turn = await decider.operate('key', takeTurn, asked)
        if (!turn.result.limited)
          promised.push({ start: timeline.now + BigInt(turn.wait), quantity: BigInt(quantity), turn })
        // A caller who has not started yet may leave.
        const waiting = promised.filter(({ start }) => start > timeline.now)
        const leaving = leaves ? waiting[which % Math.max(waiting.length, 1)] : undefined
        if (leaving === undefined) continue
        promised.splice(promised.indexOf(leaving), 1)
        await decider.operate('key', giveUpTurn, leaving.turn)
      }
      const models = rate.map((quota) => new ExactGcra(quota))
      for (const { start, quantity } of promised.sort((a, b) => Number(a.start - b.start)))
        expect(check(start, models, quantity).limited).toBe(false)
    }),
    runs(200),
  )
})
