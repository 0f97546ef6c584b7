/** Asks an API through its gateway: `npx tsx examples/api-gateway/main.ts`; with REDIS_URL the gateway has two processes. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import { storeFromUrl } from 'onrush'
import { LEASE, RATE, startGateway } from './gateway.ts'

const CLIENTS = 8
const REQUESTS = 50
const { REDIS_URL } = process.env

function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

interface Gateway {
  readonly url: string
  /** Stops it, and tells how many requests were decided by whom. */
  stop(): Promise<ReadonlyMap<string, number>>
}

async function gatewayHere(upstream: string): Promise<Gateway> {
  const store = storeFromUrl(REDIS_URL ?? 'memory://')
  const decided = new Map<string, number>()
  const server = await startGateway(upstream, store, (by) => decided.set(by, (decided.get(by) ?? 0) + 1))
  return {
    url: urlOf(server),
    async stop() {
      server.closeAllConnections()
      server.close()
      await store.close()
      return decided
    },
  }
}

async function gatewayInProcess(upstream: string): Promise<Gateway> {
  const child = fork(fileURLToPath(import.meta.url), [upstream])
  const [url] = await once(child, 'message')
  return {
    url,
    async stop() {
      child.send('stop')
      const [decided] = await once(child, 'message')
      await once(child, 'exit')
      return new Map(decided)
    },
  }
}

/** Clients that ask one request after another. */
async function load(url: string): Promise<number[]> {
  const client = async (): Promise<number[]> => {
    const statuses: number[] = []
    for (let count = 0; count < REQUESTS; count++) {
      const response = await fetch(url)
      await response.text()
      statuses.push(response.status)
    }
    return statuses
  }
  return (await Promise.all(Array.from({ length: CLIENTS }, client))).flat()
}

const [upstreamUrl] = process.argv.slice(2)
if (upstreamUrl !== undefined) {
  const gateway = await gatewayHere(upstreamUrl)
  process.once('message', async () => {
    const decided = await gateway.stop()
    process.send?.([...decided], () => process.disconnect())
  })
  process.send?.(gateway.url)
} else {
  let reached = 0
  const api = createServer((_request, response) => {
    reached++
    response.end('answered')
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  const upstream = urlOf(api)

  const gateways =
    REDIS_URL === undefined
      ? [await gatewayHere(upstream)]
      : await Promise.all([gatewayInProcess(upstream), gatewayInProcess(upstream)])
  const start = performance.now()
  const statuses = (await Promise.all(gateways.map(({ url }) => load(url)))).flat()
  const bound = RATE.limit + (RATE.count * (performance.now() - start + LEASE)) / RATE.period
  const refused = statuses.filter((status) => status === 429).length
  console.log(
    `${statuses.length} requests: ${reached === statuses.length - refused ? 'all that passed reached' : 'not all reached'} the API`,
  )
  console.log(reached <= bound ? 'the API got no more than its limit' : `the API got ${reached}, of at most ${bound}`)

  const decided = (await Promise.all(gateways.map((gateway) => gateway.stop()))).flatMap((of) => [...of])
  const locally = decided.reduce((sum, [by, count]) => (by === 'store' ? sum : sum + count), 0)
  if (REDIS_URL !== undefined) console.log(`${locally} were decided without a round trip`)
  api.closeAllConnections()
  api.close()
}
