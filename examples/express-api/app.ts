/** An API with one quota for those who are known, and a smaller one for each address of those who are not. */
import express, { type Express } from 'express'
import { type BaseStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { rateLimit } from 'onrush/express'
import { clientIp } from 'onrush/http'

const users = new Map([['secret-of-ann', 'ann']])

export function makeApp(store: BaseStore): Express {
  const limiter = new GcraLimiter({ store })
  const anonymous = new Throttle({ limiter, rate: Quota.perMinute(3, { name: 'anonymous' }) })
  const authenticated = new Throttle({
    limiter,
    rate: Quota.perHour(600, { maximumBurst: 50, name: 'authenticated' }),
  })

  const app = express()
  app.use((request, response, next) => {
    const [, token = ''] = request.get('authorization')?.split('Bearer ') ?? []
    response.locals.user = users.get(token)
    next()
  })
  app.use(
    rateLimit({
      throttle: (_request, response) => (response.locals.user === undefined ? anonymous : authenticated),
      // Behind a proxy of one's own: clientIp(request, { trustedProxies: 1 }).
      key: (request, response) => response.locals.user ?? clientIp(request),
      skip: (request) => request.path === '/health',
    }),
  )
  app.get('/health', (_request, response) => {
    response.json({ healthy: true })
  })
  app.get('/time', (_request, response) => {
    response.json({ now: new Date() })
  })
  return app
}
