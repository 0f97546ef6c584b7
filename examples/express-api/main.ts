/** Starts the API and asks it: `npx tsx examples/express-api/main.ts`; with REDIS_URL it counts in that Redis. */
import { once } from 'node:events'
import { storeFromUrl } from 'onrush'
import { makeApp } from './app.ts'

const store = storeFromUrl(process.env.REDIS_URL ?? 'memory://')
const server = makeApp(store).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (address === null || typeof address === 'string') throw new Error('the server has no port')
const url = `http://127.0.0.1:${address.port}`

async function ask(who: string, path: string, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(url + path, { headers })
  const told = ['ratelimit', 'retry-after'].map((name) => `${name}: ${response.headers.get(name)}`).join(', ')
  console.log(`${who} GET ${path} → ${response.status} ${told}`)
  if (response.status === 429) console.log(await response.json())
}

for (let time = 0; time < 4; time++) await ask('nobody', '/time')
for (let time = 0; time < 4; time++) await ask('ann', '/time', { authorization: 'Bearer secret-of-ann' })
await ask('nobody', '/health')

server.close()
server.closeAllConnections()
await store.close()
