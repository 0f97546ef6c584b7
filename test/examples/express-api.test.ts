import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  const lines = await runExample('express-api', environment)
  const answers = lines.filter((line) => line.includes('GET'))
  expect(answers.map((line) => line.replace(/;t=.*/, ''))).toEqual([
    'nobody GET /time → 200 ratelimit: "anonymous";r=2',
    'nobody GET /time → 200 ratelimit: "anonymous";r=1',
    'nobody GET /time → 200 ratelimit: "anonymous";r=0',
    'nobody GET /time → 429 ratelimit: "anonymous";r=0',
    'ann GET /time → 200 ratelimit: "authenticated";r=649',
    'ann GET /time → 200 ratelimit: "authenticated";r=648',
    'ann GET /time → 200 ratelimit: "authenticated";r=647',
    'ann GET /time → 200 ratelimit: "authenticated";r=646',
    'nobody GET /health → 200 ratelimit: null, retry-after: null',
  ])
  expect(answers[3]).toMatch(/retry-after: (?:20|19)$/)
}

test('the API tells known from unknown callers', () => checkRun())

test('and does so on Redis', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
})
