import { expect, test } from 'vitest'
import { startRedis } from '../support/servers/redis.ts'
import { runExample } from './run-example.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  const lines = await runExample('login-form', environment)
  expect(lines.slice(0, 7)).toEqual(Array.from({ length: 7 }, () => 'ann with her password → 200 Welcome, ann'))
  expect(lines[7]).toBe('30 guesses at once → 5 were tried, 25 were not')
  expect(lines[8]).toMatch(/^ann with her password → 429 .*"violated-policies":\["user"\]/)
  expect(lines[9]).toBe('bob with his password → 200 Welcome, bob')
}

test('guesses are few, and whoever knows the password is not slowed down', () => checkRun())

test('and so on Redis', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
})
