/** Every decision, and every field of it, equals exact rational arithmetic. */
import fc from 'fast-check'
import { checkAll } from 'onrush'
import { describe, test } from 'vitest'
import { changingQuotas, command, quotas, sequence, starts, withoutAccess } from '../support/exact/arbitraries.ts'
import { checkAll as checkAllExactly } from '../support/exact/layers.ts'
import { COUNTINGS, expectExact, type Layer, Pair, runs, Timeline } from '../support/exact/pair.ts'

describe.each(COUNTINGS)('$name', (counting) => {
  test('answers every check as exact arithmetic does', () => {
    fc.assert(
      fc.property(starts, quotas(), sequence(command()), (start, quota, commands) => {
        const pair = new Pair(new Timeline(start), [{ counting, quota }])
        for (const each of commands) pair.follow(each)
      }),
      runs(500),
    )
  })

  test('answers exactly where a policy loses its access and gets it again', () => {
    const changes = sequence(fc.record({ version: fc.nat({ max: 1 }), next: command() }))
    fc.assert(
      fc.property(
        starts,
        changingQuotas({ name: 'policy', headroom: 4 }).map(withoutAccess),
        changes,
        (start, versions, list) => {
          const pair = new Pair(new Timeline(start), [{ counting, quota: versions[0] }])
          for (const { version, next } of list) {
            pair.changeQuotas([versions[version] ?? versions[0]])
            pair.follow(next)
          }
        },
      ),
      runs(200),
    )
  })

  test('carries what is used over, in units, when the count or burst changes under its name', () => {
    const changes = sequence(fc.record({ version: fc.nat({ max: 2 }), next: command() }))
    fc.assert(
      // Beyond 2^52 µs, which a quota that is lowered far may take, a result's ms no longer tell each µs.
      fc.property(starts, changingQuotas({ name: 'policy', headroom: 4 }), changes, (start, versions, list) => {
        const pair = new Pair(new Timeline(start), [{ counting, quota: versions[0] }])
        for (const { version, next } of list) {
          pair.changeQuotas([versions[version] ?? versions[0]])
          pair.follow(next)
        }
      }),
      runs(500),
    )
  })
})

const layer: fc.Arbitrary<Layer> = fc.record({ counting: fc.constantFrom(...COUNTINGS), quota: quotas() })
const state = ({ counting, quota }: Layer) => `${counting.name} ${quota.name}`
const severalLayers = fc.uniqueArray(layer, { minLength: 2, maxLength: 4, selector: state })

test('layers of any algorithms are decided all or nothing, and the one that binds speaks for all', () => {
  fc.assert(
    fc.property(starts, severalLayers, sequence(command()), (start, layers, commands) => {
      const pair = new Pair(new Timeline(start), layers)
      for (const each of commands) pair.follow(each)
    }),
    runs(500),
  )
})

test('checkAll decides its subjects all or nothing, and those of quantity 0 take no part', async () => {
  const subjects = fc.array(fc.uniqueArray(layer, { minLength: 1, maxLength: 3, selector: state }), {
    minLength: 1,
    maxLength: 3,
  })
  const rounds = sequence(fc.tuple(command(), command(), command()))
  await fc.assert(
    fc.asyncProperty(starts, subjects, rounds, async (start, chosen, list) => {
      const timeline = new Timeline(start)
      const pairs = chosen.map((layers) => new Pair(timeline, layers))
      for (const [round, commands] of list.entries()) {
        pairs[round % pairs.length]?.move(commands[0].step)
        const asked = pairs.map((pair, index) => ({
          pair,
          key: `key ${index}`,
          quantity: pair.quantityOf(commands[index] ?? commands[0]),
        }))
        const answered = await checkAll(
          asked.map(({ pair, key, quantity }) => ({ throttle: pair.throttle, key, quantity: Number(quantity) })),
        )
        const exact = checkAllExactly(
          timeline.now,
          asked.map(({ pair, quantity }) => ({ layers: pair.models, quantity })),
        )
        expectExact(answered, exact)
        for (const [index, pair] of pairs.entries()) pair.remember(exact.layers?.[index])
      }
    }),
    runs(300),
  )
})
