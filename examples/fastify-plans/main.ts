/** Starts the API and asks it: `npx tsx examples/fastify-plans/main.ts`; with REDIS_URL it counts in that Redis. */
import { storeFromUrl } from 'onrush'
import { type Customers, makeApp } from './app.ts'

const store = storeFromUrl(process.env.REDIS_URL ?? 'memory://')
const customers: Customers = new Map([['key-of-ann', 'free']])
const app = makeApp(store, customers)
const url = await app.listen({ host: '127.0.0.1', port: 0 })

async function ask(path: string): Promise<void> {
  const response = await fetch(url + path, { headers: { 'x-api-key': 'key-of-ann' } })
  console.log(`${customers.get('key-of-ann')} GET ${path} → ${response.status} ${response.headers.get('ratelimit')}`)
  if (response.status === 429) console.log(await response.json())
}

await ask('/search')
await ask('/export')
await ask('/search')
console.log('ann pays')
customers.set('key-of-ann', 'pro')
await ask('/search')
await ask('/export')

await app.close()
await store.close()
