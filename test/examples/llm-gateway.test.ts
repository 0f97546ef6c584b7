import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

const LINES = [
  'a stream of words',
  expect.stringMatching(/^aborted after leave/),
  expect.stringMatching(/^[3-8] of 8 answered, at most [123] at once$/),
]

test('a gateway streams, gives back what an abort leaves, and lets at most three in', async () => {
  expect(await runExample('llm-gateway')).toEqual(LINES)
})

test('and so on Redis, where a process that crashed gives its permits back', async () => {
  await using redis = await startRedis()
  const lines = await runExample('llm-gateway', { REDIS_URL: redis.url })
  expect(lines).toEqual([...LINES, 'after a crash: still here, still here, still here'])
})
