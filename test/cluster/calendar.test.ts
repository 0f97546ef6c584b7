/** Calendar quotas on a cluster: every node decides as the store in this process does, and in the window of its own clock. */
import { FixedWindowLimiter, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Oracle } from '../support/calendar/oracle.ts'
import { KEYS, stillCluster } from '../support/cluster/still-cluster.ts'
import { CALENDAR_LIMITERS } from '../support/limiters.ts'
import { CLUSTER_CLIENTS, type ProvidedClient } from '../support/redis/clients.ts'
import { BothImplementations } from '../support/redis/implementations.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const shared = stillCluster()
const YEAR = 365 * 86_400_000
const PLAN = Quota.perYear(5, { timeZone: 'Europe/Berlin', name: 'plan' })
const PLAIN = Quota.parse('8/3653 days')

const CLIENTS = CLUSTER_CLIENTS.filter(({ name }) => /^(ioredis|node-redis) 6 over RESP3$/.test(name))
const STORES = CLIENTS.flatMap((kind) => [{}, { shards: 4 }].map((options) => ({ ...kind, options })))

/** The package as a process reads it whose clock is ahead. */
async function readAhead(milliseconds: number): Promise<typeof import('onrush')> {
  const { timeOrigin } = performance
  vi.resetModules()
  Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin + milliseconds, configurable: true })
  try {
    return await import('onrush')
  } finally {
    Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin, configurable: true })
  }
}

/** How many calls of checks the nodes have run: what looks for keys without a TTL sends its script whole. */
async function calls(): Promise<number> {
  const stats = await Promise.all(shared.cluster.nodes.map(({ server }) => server.information('commandstats')))
  const counts = stats.flatMap((text) => [...text.matchAll(/cmdstat_evalsha:calls=(\d+)/g)])
  return counts.reduce((sum, [, count = '']) => sum + Number(count), 0)
}

/** Ms until the window of PLAN ends in which the first node's time lies. */
async function untilEnd(): Promise<number> {
  const [node] = shared.client.nodes('master')
  const [seconds = 0, microseconds = 0] = (await node?.time()) ?? []
  const now = BigInt(seconds) * 1_000_000n + BigInt(microseconds)
  if (PLAN.calendar === undefined) throw new Error('a calendar quota is needed')
  return Number(new Oracle(PLAN.calendar).at(now).end - now) / 1000
}

test('both packages of clients are tried', () => {
  expect(CLIENTS).toHaveLength(2)
})

describe.each(STORES)('$name, $options', ({ connect, options }) => {
  let provided: ProvidedClient

  beforeAll(async () => {
    provided = await connect([...shared.cluster.addresses])
  })

  afterAll(() => provided?.close())

  test('answers what the store in this process does, over changes of the window, beside a plain quota', async () => {
    const billing = Quota.perMonth(7, { timeZone: 'Europe/Berlin', anchor: '2026-01-31', name: 'plan' })
    for (const counting of CALENDAR_LIMITERS) {
      const start = Date.parse('2026-02-27T22:59Z') * 1000
      const both = new BothImplementations(shared.client, start, { client: provided.client, ...options })
      const { local, remote } = both.throttle([{ counting, rate: [billing, Quota.perDay(6)] }])
      for (const [quantity, days] of [3, 0.5, 2, 2, 3, 29.5, 5, 0, 1, 31].entries()) {
        both.now += days * 86_400_000_000
        const answers = await Promise.all(KEYS.map((key) => remote.check(key, quantity % 4)))
        expect(answers).toStrictEqual(KEYS.map((key) => local.checkSync(key, quantity % 4)))
      }
    }
  })

  test.each([
    { by: 'two years ahead', ahead: 2 * YEAR },
    { by: 'three years behind', ahead: -3 * YEAR },
  ])(
    'a client whose clock is $by counts exactly in the window of the nodes, and asks again only once',
    async ({ ahead }) => {
      const prefix = uniquePrefix()
      const wrong = await readAhead(ahead)
      const given = { client: provided.client, prefix, timeout: 20_000, ...options }
      const right = new RedisStore(given)
      const mistaken = new wrong.RedisStore(given)
      const one = new Throttle({
        layers: [
          { limiter: new FixedWindowLimiter({ store: right }), rate: PLAN },
          { limiter: new GcraLimiter({ store: right }), rate: PLAIN },
        ],
      })
      const other = new wrong.Throttle({
        layers: [
          { limiter: new wrong.FixedWindowLimiter({ store: mistaken }), rate: wrong.Quota.parse(String(PLAN)) },
          { limiter: new wrong.GcraLimiter({ store: mistaken }), rate: wrong.Quota.parse(String(PLAIN)) },
        ],
      })
      const most = await untilEnd()
      // Every node then has the script, so that all later calls are of checks.
      await Promise.all(KEYS.map((key) => one.check(key)))
      const before = await calls()
      for (const key of KEYS.slice(0, 10)) await other.check(key)
      expect((await calls()) - before).toBe(11)
      const opened = await other.check('a key of its own')
      const least = await untilEnd()
      expect(opened.layers[0]?.resetAfter).toBeLessThanOrEqual(most)
      expect(opened.layers[0]?.resetAfter).toBeGreaterThanOrEqual(least)

      const asked = await Promise.all(
        KEYS.flatMap((key) => [one, other, one, other, one, other].map((each) => each.check(key))),
      )
      const admitted = KEYS.map((_, at) => asked.slice(at * 6, at * 6 + 6).filter(({ limited }) => !limited).length)
      expect(admitted).toEqual(KEYS.map((_, at) => (at < 10 ? 3 : 4)))
      const ends = await Promise.all(KEYS.map((key) => one.peek(key)))
      // The plain quota spent nothing on what the plan refused.
      expect(ends.map(({ layers }) => layers.map(({ remaining }) => remaining))).toEqual(KEYS.map(() => [0, 3]))
    },
  )
})
