import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

const LINES = [
  '7 of 7 jobs are done',
  'the urgent one overtook those that waited',
  'what ran was finished, the rest was left',
]

test('urgent jobs overtake, and a worker that stops finishes what runs', async () => {
  expect(await runExample('priority-workers')).toEqual(LINES)
})

test('and so in several processes on Redis', async () => {
  await using redis = await startRedis()
  expect(await runExample('priority-workers', { REDIS_URL: redis.url })).toEqual(LINES)
})
