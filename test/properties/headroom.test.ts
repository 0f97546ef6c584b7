/** Costs of layers, headroom and partial grants equal exact rational arithmetic, and merged checks equal checks one by one. */
import fc from 'fast-check'
import { Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { command, quantity, quotas, sequence, starts } from '../support/exact/arbitraries.ts'
import { type Ask, checkBy } from '../support/exact/costs.ts'
import { larger } from '../support/exact/model.ts'
import { COUNTINGS, Pair, runs, Timeline } from '../support/exact/pair.ts'

const layer = fc.record({
  counting: fc.constantFrom(...COUNTINGS),
  quota: quotas(),
  /** Parts in a thousand of the limit that a check costs in the layer. */
  cost: fc.oneof(fc.constant(undefined), fc.nat({ max: 1000 })),
})
const layers = fc.uniqueArray(layer, {
  minLength: 1,
  maxLength: 3,
  selector: ({ counting, quota }) => `${counting.name} ${quota.name}`,
})

const ask = fc.record({
  each: command(),
  how: fc.constantFrom('all' as const, 'all' as const, 'up to' as const, 'look' as const),
  /** Parts in a thousand of the smallest limit. */
  leave: fc.oneof(fc.constant(0), fc.nat({ max: 999 })),
})

test('every check answers as exact arithmetic does', () => {
  fc.assert(
    fc.property(starts, layers, sequence(ask), (start, chosen, list) => {
      const costs = chosen.map(({ quota, cost }) =>
        cost === undefined ? undefined : Math.max(Math.floor((quota.limit * cost) / 1000), 1),
      )
      const pair = new Pair(new Timeline(start), chosen)
      const { store } = pair.timeline
      const throttle = new Throttle({
        layers: chosen.map(({ counting, quota }, index) => ({
          limiter: new counting.Limiter({ store }),
          rate: quota,
          quantity: costs[index],
        })),
      })
      const limits = chosen.flatMap(({ quota }, index) => (costs[index] === undefined ? [quota.limit] : []))
      for (const { each, how, leave } of list) {
        pair.move(each.step)
        const asked = Number(quantity(each.amount, pair.timeline.now, pair.models))
        const left = limits.length === 0 ? 0 : Math.floor(((Math.min(...limits) - 1) * leave) / 1000)
        const options = limits.length === 0 ? {} : { leave: left }
        const given: Ask = {
          quantity: BigInt(asked),
          how: asked === 0 ? 'look' : how,
          leave: how === 'up to' ? 0n : BigInt(left),
          costs: costs.map((cost) => (cost === undefined ? undefined : BigInt(cost))),
        }
        const answered =
          how === 'up to'
            ? throttle.checkUpToSync('key', asked)
            : how === 'look'
              ? throttle.peekSync('key', asked, options)
              : throttle.checkSync('key', asked, options)
        const exact = checkBy(pair.timeline.now, pair.models, given)
        expect({
          limited: answered.limited,
          remaining: BigInt(answered.remaining),
          spent: BigInt(answered.spent),
          retryAfter:
            answered.retryAfter === Number.POSITIVE_INFINITY ? 'never' : BigInt(Math.round(answered.retryAfter * 1000)),
          quota: answered.quota,
          layers: answered.layers.map((one) => [one.limited, BigInt(one.remaining), BigInt(one.spent)]),
        }).toEqual(exact)
        const [first] = pair.models
        if (first === undefined) return
        // The next step may go to when this one would pass.
        const whole = first.answer(pair.timeline.now, larger(given.quantity, 1n), false)
        pair.remember({ ...whole, retryAfter: exact.retryAfter })
      }
    }),
    runs(400),
  )
})
