import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  const lines = await runExample('fastify-plans', environment)
  const told = lines.filter((line) => /GET|pays/.test(line)).map((line) => line.replace(/;t=\d+/g, ''))
  expect(told.slice(0, 4)).toEqual([
    'free GET /search → 200 "minute";r=4, "day";r=99',
    'free GET /export → 200 "minute";r=0, "day";r=95',
    'free GET /search → 429 "minute";r=0, "day";r=95',
    'ann pays',
  ])
  // Time since the change counts at the new rate: a unit comes back each 1.2 s, and one of the day each 8.6 s.
  expect(told[4]).toMatch(/^pro GET \/search → 200 "minute";r=4[4-7], "day";r=999[45]$/)
  expect(told[5]).toMatch(/^pro GET \/export → 200 "minute";r=4[0-4], "day";r=999[01]$/)
}

test('what was used of one plan is used of the next', () => checkRun())

test('and is so on Redis', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
})
