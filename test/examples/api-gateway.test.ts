import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

test('an API gets no more than its limit through its gateway', async () => {
  expect(await runExample('api-gateway')).toEqual([
    '400 requests: all that passed reached the API',
    'the API got no more than its limit',
  ])
})

test('and so through two processes on Redis, which decide requests without a round trip', async () => {
  await using redis = await startRedis()
  expect(await runExample('api-gateway', { REDIS_URL: redis.url })).toEqual([
    '800 requests: all that passed reached the API',
    'the API got no more than its limit',
    expect.stringMatching(/^[1-9]\d* were decided without a round trip$/),
  ])
})
