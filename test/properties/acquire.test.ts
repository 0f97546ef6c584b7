/** Waiting one's turn on GCRA: who waits how long is exact, and so is what is left for those who come after. */
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { GcraLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { command, instant, quantity, sequence, starts } from '../support/exact/arbitraries.ts'
import { ExactGcra } from '../support/exact/gcra.ts'
import { acquire, check, type ExactTurn, waitOf } from '../support/exact/layers.ts'
import { expectExact, runs, Timeline } from './pair.ts'

const HOUR = 3_600_000_000
/** What is really slept through, and what is never slept to its end, in µs. */
const BRIEF = 1000n
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
  readonly left: AbortController
  readonly outcome: Promise<unknown>
}

test('a turn is promised or refused, waited for and given up as exact arithmetic does', async () => {
  await fc.assert(
    fc.asyncProperty(starts, rates, events, async (start, rate, list) => {
      const timeline = new Timeline(start)
      const throttle = new Throttle({ limiter: new GcraLimiter({ store: timeline.store }), rate })
      const models = rate.map((quota) => new ExactGcra(quota))
      const peek = () => check(timeline.now, models, 0n)
      const waiting: Waiter[] = []

      async function giveUp({ turn, left, outcome }: Waiter): Promise<void> {
        turn.giveUp(timeline.now)
        left.abort()
        await expect(outcome).resolves.toBe('left')
      }

      async function waitForTurn(asked: bigint, patience: bigint): Promise<void> {
        const needed = waitOf(timeline.now, models, asked)
        const patient = needed !== 'never' && needed > BRIEF && needed < LONG ? -1n : patience
        const maxWait = needed === 'never' ? LONG : needed + patient < 0n ? 0n : needed + patient
        const turn = acquire(timeline.now, models, asked, maxWait)
        const left = new AbortController()
        const acquired = throttle.acquire('key', Number(asked), {
          maxWait: Number(maxWait) / 1000,
          signal: left.signal,
        })
        const outcome = acquired.catch(() => 'left')
        if (turn.limited || turn.wait === 'never' || turn.wait <= BRIEF) expectExact(await acquired, turn.result)
        else waiting.push({ turn, left, outcome })
      }

      try {
        for (const { next, does, patience, which } of list) {
          timeline.now = instant(next.step, timeline.now, models, peek())
          const asked = quantity(next.amount, timeline.now, models)
          if (does === 'check')
            expectExact(throttle.checkSync('key', Number(asked)), check(timeline.now, models, asked))
          if (does === 'acquire' && asked > 0n) await waitForTurn(asked, patience)
          if (does === 'give up') for (const waiter of waiting.splice(which, 1)) await giveUp(waiter)
          await setImmediate()
          expectExact(throttle.peekSync('key'), peek())
        }
        for (const waiter of waiting.splice(0)) await giveUp(waiter)
      } finally {
        for (const { left } of waiting) left.abort()
      }
    }),
    runs(200),
  )
})
