import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  const [givenUp, done, ...others] = await runExample('job-worker', environment)
  expect(others).toEqual([])
  expect(givenUp).toBe('job 13 is given up: Error: no such address')
  // One job is tried twice and one three times: 23 tries, the first of which may be late, lie 22 times 50 ms apart.
  const [, tries, seconds] = /^19 jobs were done, in (\d+) tries and ([\d.]+) s$/.exec(done ?? '') ?? []
  expect(tries).toBe('23')
  expect(Number(seconds)).toBeGreaterThan(0.9)
}

test('two workers do all jobs, no faster than their limit', () => checkRun())

test('and so on Redis, where no job is left', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
  const client = new Redis(redis.url)
  expect(await client.keys('*:under-way')).toEqual([])
  expect(await client.keys('*:waiting')).toEqual([])
  client.disconnect()
})
