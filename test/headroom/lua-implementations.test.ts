/** Costs of layers, headroom and partial grants: TypeScript and Lua decide alike, and merged checks as if one by one. */
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { runs } from '../support/exact/pair.ts'
import { Asker, KEYS, layers, rounds } from '../support/headroom/questions.ts'
import { makeScriptsKnown } from '../support/redis/known-scripts.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

beforeAll(() => makeScriptsKnown(suite.both(0)))

const START = 1_700_000_000_000_000

test.each([
  { asked: 'in one turn', together: true },
  { asked: 'one by one', together: false },
])('what is asked $asked is answered and kept as TypeScript decides it one by one', async ({ together }) => {
  await fc.assert(
    fc.asyncProperty(fc.array(layers, { minLength: 1, maxLength: 2 }), rounds, async (chosen, list) => {
      const both = suite.both(START)
      const throttles = chosen.map((each) => both.throttle(each))
      const local = new Asker(
        throttles.map((throttle) => throttle.local),
        chosen,
      )
      const remote = new Asker(
        throttles.map((throttle) => throttle.remote),
        chosen,
      )
      for (const { elapsed, questions } of list) {
        both.now += elapsed
        const answers = await remote.answers(questions, together)
        expect(answers).toStrictEqual(await local.answers(questions, false))
        await both.expectSameStates(KEYS)
      }
    }),
    runs(together ? 150 : 60),
  )
})
