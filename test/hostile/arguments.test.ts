/** Values of every wrong kind, at every place where one comes in: an error that names it, and nothing is sent or stored. */
import fc from 'fast-check'
import { DictionaryStore } from 'onrush'
import { describe, expect, test } from 'vitest'
import { budget, FUZZ_TIMEOUT } from '../support/hostile/budget.ts'
import type { Entrance } from '../support/hostile/entrance.ts'
import { MAKERS } from '../support/hostile/makers.ts'
import { recordEntrances, throttleEntrances } from '../support/hostile/questions.ts'
import { expectRefusal, failureOf } from '../support/hostile/refusal.ts'
import { STORE_MAKERS } from '../support/hostile/store-makers.ts'
import { anything, HOSTILE_VALUES } from '../support/hostile/values.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const store = suite.store()

const PLACES: readonly (readonly [where: string, entrances: readonly Entrance[]])[] = [
  ['made', MAKERS],
  ['stores made', STORE_MAKERS],
  ['on DictionaryStore', throttleEntrances(new DictionaryStore())],
  ['on RedisStore', throttleEntrances(store)],
  ['records of RedisStore', recordEntrances(store)],
]

/** How many commands the server was ever sent that a store sends. */
async function commands(): Promise<number> {
  const stats = await suite.client.info('commandstats')
  const counts = stats.matchAll(/cmdstat_(?:evalsha|set|mget|unlink):calls=(\d+)/g)
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
}

describe.each(PLACES)('%s', (_where, entrances) => {
  test.each(entrances.map((entrance) => [entrance.name, entrance] as const))('%s', async (_name, entrance) => {
    for (const [name, value] of HOSTILE_VALUES) {
      if (!entrance.takes(value)) expectRefusal(entrance, await failureOf(entrance, value), name)
    }
  })
})

test('nothing that is refused is sent or stored', async () => {
  const prefix = uniquePrefix()
  const own = suite.store({ prefix })
  const entrances = [...throttleEntrances(own), ...recordEntrances(own)]
  const before = await commands()
  for (const entrance of entrances.filter(({ name }) => !/reservation/.test(name))) {
    for (const [, value] of HOSTILE_VALUES) if (!entrance.takes(value)) await failureOf(entrance, value)
  }
  expect((await commands()) - before).toBe(0)
  expect(await suite.keys(prefix)).toEqual([])
})

test('an object that holds a name nobody knows is taken, or refused by an error that says whose name it is', async () => {
  for (const entrance of PLACES.flatMap(([, some]) => some)) {
    const error = await failureOf(entrance, { '': [] })
    if (error !== undefined) expectRefusal(entrance, error)
  }
})

test('anything at all is taken, or refused by an error that says what it was', { timeout: FUZZ_TIMEOUT }, async () => {
  const entrances = PLACES.flatMap(([, some]) => some)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...entrances), anything, async (entrance, value) => {
      const error = await failureOf(entrance, value)
      if (error !== undefined) expectRefusal(entrance, error)
      else expect(entrance.takes(value), entrance.name).toBe(true)
    }),
    budget(2000),
  )
})
