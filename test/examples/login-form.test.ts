import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { makeApp } from '../../examples/login-form/app.ts'
import { runExample } from '../support/examples/run-example.ts'
import { startRedis } from '../support/servers/redis.ts'

async function checkRun(environment?: Record<string, string>): Promise<void> {
  const lines = await runExample('login-form', environment)
  expect(lines.slice(0, 7)).toEqual(Array.from({ length: 7 }, () => 'ann with her password → 200 Welcome, ann'))
  expect(lines[7]).toBe('30 guesses at once → 5 were tried, 25 were not')
  expect(lines[8]).toMatch(/^ann with her password → 429 .*"violated-policies":\["user"\]/)
  expect(lines[9]).toBe('bob with his password → 200 Welcome, bob')
  expect(lines[10]).toBe('locked out: user ann, 1 time')
  expect(lines[11]).toBe('the operator lets ann in → 200 user ann may log in again')
  expect(lines[12]).toBe('ann with her password → 200 Welcome, ann')
}

test('guesses are few, and whoever knows the password is not slowed down', () => checkRun())

test('and so on Redis', async () => {
  await using redis = await startRedis()
  await checkRun({ REDIS_URL: redis.url })
})

test('who leaves before the answer has guessed too', async () => {
  const store = new DictionaryStore()
  const user = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(5, { name: 'user' }) })
  const left = async () => (await user.peek('user ann')).remaining
  const app = await makeApp(store, { passwords: { ann: 'correct horse' }, operatorToken: 'secret' })
  const server = createServer(getRequestListener(app.fetch)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the server has no port')
    const url = `http://127.0.0.1:${address.port}/login`
    for (let guess = 1; guess <= 5; guess++) {
      const form = { 'content-type': 'application/x-www-form-urlencoded' }
      const guessed = request(url, { method: 'POST', headers: form, agent: false }).on('error', () => {})
      guessed.end(`user=ann&password=${guess}`)
      await expect.poll(left, { timeout: 30_000, interval: 1 }).toBe(5 - guess)
      guessed.destroy()
    }
    const body = new URLSearchParams({ user: 'ann', password: 'guess' })
    expect((await fetch(url, { method: 'POST', body })).status).toBe(429)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
