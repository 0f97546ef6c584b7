/** Starts the form and tries to get in: `npx tsx examples/login-form/main.ts`; with REDIS_URL it counts in that Redis. */

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { type BlockedKey, storeFromUrl } from 'onrush'
import { makeApp } from './app.ts'

const store = storeFromUrl(process.env.REDIS_URL ?? 'memory://')
const operatorToken = randomUUID()
const passwords = { ann: 'correct horse', bob: 'battery staple' }
const app = await makeApp(store, { passwords, operatorToken })
const server = createServer(getRequestListener(app.fetch)).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('the server has no port')
const url = `http://127.0.0.1:${address.port}`

async function login(user: string, password: string): Promise<Response> {
  return fetch(`${url}/login`, { method: 'POST', body: new URLSearchParams({ user, password }) })
}

async function operate(path: string, form?: Record<string, string>): Promise<Response> {
  const headers = { authorization: `Bearer ${operatorToken}` }
  const body = form && { method: 'POST', body: new URLSearchParams(form) }
  return fetch(`${url}/operators/${path}`, { headers, ...body })
}

async function tell(what: string, response: Response): Promise<void> {
  console.log(`${what} → ${response.status} ${await response.text()}`)
}

for (let time = 0; time < 7; time++) await tell('ann with her password', await login('ann', 'correct horse'))

const guesses = await Promise.all(Array.from({ length: 30 }, (_, guess) => login('ann', `guess ${guess}`)))
const tried = guesses.filter(({ status }) => status === 401).length
console.log(`30 guesses at once → ${tried} were tried, ${guesses.length - tried} were not`)

await tell('ann with her password', await login('Ann', 'correct horse'))
await tell('bob with his password', await login('bob', 'battery staple'))

const locked: BlockedKey[] = JSON.parse(await (await operate('locked')).text())
for (const { key, strikes } of locked) console.log(`locked out: ${key}, ${strikes} time`)
await tell('the operator lets ann in', await operate('unlock', { user: 'Ann' }))
await tell('ann with her password', await login('ann', 'correct horse'))

server.close()
server.closeAllConnections()
await store.close()
