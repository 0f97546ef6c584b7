import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

test('a client that waits its turn is refused only for reasons of the vendor, and calls again after its pause', async () => {
  const [made, answered] = await runExample('outbound-client')
  expect(made).toMatch(/^1 process made 20 calls in [\d.]+ s$/)
  expect(answered).toBe('the vendor answered 20 and refused 1')
})

test('and so are three processes that share their turns in Redis', async () => {
  await using redis = await startRedis()
  const [made, answered] = await runExample('outbound-client', { REDIS_URL: redis.url })
  expect(made).toMatch(/^3 processes made 60 calls in [\d.]+ s$/)
  expect(answered).toBe('the vendor answered 60 and refused 1')
})
