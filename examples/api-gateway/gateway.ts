/**
 * A gateway before an API: one limit for all requests, over all processes of the gateway. With a lease most requests are decided here, without a
 * round trip to Redis.
 */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type BaseStore, Quota, Throttle } from 'onrush'
import { rateLimitHeaders } from 'onrush/http'

/** What the API bears: 300 requests a second, and up to 400 at once. */
export const RATE = Quota.perSecond(300, { maximumBurst: 100, name: 'api' })
/** ms. Many times the round trip to Redis. */
export const LEASE = 200

/** @param count is called with who decided each request: the store, a lease, or the memory of a refusal */
export async function startGateway(upstream: string, store: BaseStore, count: (by: string) => void): Promise<Server> {
  const api = new Throttle({ store, rate: RATE, lease: LEASE })
  const server = createServer(async (request, response) => {
    const result = api.checkNow('all') ?? (await api.check('all'))
    count(result.source)
    if (result.limited) {
      response.writeHead(429, rateLimitHeaders(result)).end()
      return
    }
    const answer = await fetch(new URL(request.url ?? '/', upstream))
    response.writeHead(answer.status).end(await answer.text())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}
