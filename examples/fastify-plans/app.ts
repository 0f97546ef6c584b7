/** An API with plans: each has its own quotas, in two layers that are decided together. */
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { type BaseStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fastify'

export type Plan = 'free' | 'pro'

/** Plans by API key, as a database would have them; a plan may change while it is used. */
export type Customers = Map<string, Plan>

export function makeApp(store: BaseStore, customers: Customers): FastifyInstance {
  const limiter = new GcraLimiter({ store })
  // The names are the same in both plans, so that what is used carries over from one to the other.
  const plans: Record<Plan, Throttle> = {
    free: new Throttle({ limiter, rate: quotas(5, 100) }),
    pro: new Throttle({ limiter, rate: quotas(50, 10_000) }),
  }

  const app = Fastify()
  app.addHook('onRequest', async (request, reply) => {
    if (!customers.has(apiKey(request))) return reply.code(401).send({ error: 'unknown API key' })
    return undefined
  })
  app.register(
    rateLimit({
      throttle: (request) => plans[customers.get(apiKey(request)) ?? 'free'],
      key: apiKey,
    }),
  )
  app.get('/search', async () => ({ found: [] }))
  // Costs as much as four searches.
  app.get('/export', { config: { onrush: { quantity: 4 } } }, async () => ({ rows: [] }))
  return app
}

function quotas(minute: number, day: number): Quota[] {
  return [Quota.perMinute(minute, { name: 'minute' }), Quota.perDay(day, { name: 'day' })]
}

function apiKey(request: FastifyRequest): string {
  return String(request.headers['x-api-key'])
}
