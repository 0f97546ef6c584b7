/** Blocks and lock-outs against an exact model, on random sequences. */
import fc from 'fast-check'
import { type Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { command, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { ExactBlock } from '../support/exact/block.ts'
import { clear, refund, refuse } from '../support/exact/layers.ts'
import { COUNTINGS, expectExact, Pair, runs, Timeline } from '../support/exact/pair.ts'

const HOUR = 3_600_000_000n

/** From a µs to a day, and none. */
const lengths = fc.array(fc.oneof(fc.bigInt({ min: 1n, max: 10_000_000n }), fc.bigInt({ min: 1n, max: 24n * HOUR })), {
  maxLength: 4,
})
const forget = fc.oneof(fc.bigInt({ min: 1n, max: 10_000_000n }), fc.bigInt({ min: 1n, max: 48n * HOUR }))

const layers = fc.uniqueArray(fc.record({ counting: fc.constantFrom(...COUNTINGS), quota: quotas() }), {
  minLength: 1,
  maxLength: 3,
  selector: ({ counting, quota }: { counting: { name: string }; quota: Quota }) =>
    `${counting.name} ${quota.stateName}`,
})

const kinds = fc.constantFrom(
  'check',
  'check',
  'check',
  'check',
  'check',
  'block',
  'date',
  'unblock',
  'clear',
  'refund',
)
const spans = fc.oneof(fc.bigInt({ min: 1n, max: 10_000_000n }), fc.bigInt({ min: 1n, max: 100n * HOUR }))
/** Also to the end of the block, and to where strikes are forgotten. */
const jumps = fc.constantFrom('command', 'command', 'command', 'end', 'forget', 'far')
const off = fc.constantFrom(-1n, 0n, 1n)

test('checks, blocks and lock-outs decide as the exact model does', async () => {
  const commands = sequence(fc.record({ kind: kinds, next: command(), span: spans, jump: jumps, off }))
  await fc.assert(
    fc.asyncProperty(starts, layers, lengths, forget, commands, async (start, chosen, lockout, forgetting, list) => {
      const timeline = new Timeline(start)
      const pair = new Pair(timeline, chosen)
      const { models } = pair
      const block = new ExactBlock(lockout, forgetting)
      const { store } = timeline
      const throttle = new Throttle({
        layers: chosen.map(({ counting, quota }) => ({ limiter: new counting.Limiter({ store }), rate: quota })),
        blocks: block.options,
      })
      for (const { kind, next, span, jump, off } of list) {
        if (jump === 'command') pair.move(next.step)
        else {
          const to =
            { end: block.until, forget: block.until + forgetting, far: timeline.now + 3n * forgetting }[jump] + off
          if (to > timeline.now && to < 4_000_000_000_000_000n) timeline.now = to
        }
        const { now } = timeline
        const quantity = pair.quantityOf(next)
        switch (kind) {
          case 'check': {
            const exact = block.check(now, models, quantity)
            expectExact(throttle.checkSync('key', Number(quantity)), exact)
            pair.remember(exact)
            break
          }
          case 'block':
            block.block(now, now + span)
            expectExact(await throttle.block('key', Number(span) / 1000), block.answer(now, refuse(now, models, 0n)))
            break
          case 'date': {
            const end = new Date(Date.now() + 86_400_000 + Number(span / 1000n))
            const until = BigInt(end.getTime()) * 1000n
            if (until > now) block.block(now, until)
            expectExact(await throttle.block('key', end), block.answer(now, refuse(now, models, 0n)))
            break
          }
          case 'unblock':
            block.unblock()
            expectExact(await throttle.unblock('key'), refuse(now, models, 0n))
            break
          case 'clear':
            expectExact(await throttle.clear('key'), block.answer(now, clear(now, models)))
            break
          case 'refund': {
            const exact = block.answer(now, refund(now, models, quantity))
            expectExact(await throttle.refund('key', Number(quantity)), exact)
          }
        }
        expect((await throttle.peek('key')).blockedUntil !== undefined).toBe(block.isBlocked(now))
      }
    }),
    runs(200),
  )
})
