/**
 * A login form that is safe from guessing. Only failed logins count, for each user and for each address: who knows the
 * password is never slowed down, and however many guesses come at once, no more are tried than the quotas allow. Who has used up
 * the guesses is locked out, each time for longer; operators see who is, and can let them in.
 */
import { scrypt, timingSafeEqual } from 'node:crypto'
import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { bearerAuth } from 'hono/bearer-auth'
import { type BaseStore, type BlockedKey, GcraLimiter, Quota, Throttle } from 'onrush'
import { rateLimit } from 'onrush/hono'
import { clientIp } from 'onrush/http'

interface OnNode {
  Bindings: HttpBindings
}

const FORM = `<form method="post" action="/login">
  <input name="user" autocomplete="username"> <input name="password" type="password"> <button>Log in</button>
</form>`

export interface Secrets {
  readonly passwords: Readonly<Record<string, string>>
  /** What operators send as `Authorization: Bearer …`. */
  readonly operatorToken: string
}

export async function makeApp(store: BaseStore, { passwords, operatorToken }: Secrets): Promise<Hono<OnNode>> {
  const limiter = new GcraLimiter({ store })
  const ofAddress = new Throttle({ limiter, rate: Quota.perHour(100, { name: 'address' }), blocks: { lockout: '1h' } })
  const ofUser = new Throttle({
    limiter,
    rate: Quota.perHour(5, { name: 'user' }),
    blocks: { lockout: ['15m', '2h', '1d'], forget: '1 week' },
  })
  const hashes = new Map<string, Buffer>()
  for (const [user, password] of Object.entries(passwords)) hashes.set(user, await hashOf(user, password))

  const app = new Hono<OnNode>()
  app.get('/', (context) => context.html(FORM))
  app.post(
    '/login',
    rateLimit<OnNode>({ throttle: ofAddress, counted: 'failed', key: (context) => clientIp(context.env.incoming) }),
    // Somebody who guesses a user's password keeps that user out too. If that is worse, count by user and address together.
    rateLimit<OnNode>({
      throttle: ofUser,
      counted: 'failed',
      key: async (context) => `user ${(await login(context)).user}`,
    }),
    async (context) => {
      const { user, password } = await login(context)
      // Hashed for unknown users too, so that the time tells nobody who is known.
      const given = await hashOf(user, password)
      const known = hashes.get(user)
      if (known === undefined || !timingSafeEqual(given, known)) return context.text('Wrong user or password', 401)
      return context.text(`Welcome, ${user}`)
    },
  )

  app.use('/operators/*', bearerAuth({ token: operatorToken }))
  app.get('/operators/locked', async (context) => {
    const locked: BlockedKey[] = []
    for await (const key of store.blocked({ limit: 100 })) locked.push(key)
    return context.json(locked)
  })
  app.post('/operators/unlock', async (context) => {
    const key = `user ${nameOf((await context.req.parseBody()).user)}`
    await ofUser.unblock(key, { reason: 'let in by an operator' })
    // The failed guesses are forgotten too: else the user would be refused until they come back.
    await ofUser.clear(key)
    return context.text(`${key} may log in again`)
  })
  return app
}

/** One name however it is written, so that nobody has as many quotas as there are ways to write it. */
function nameOf(user: unknown): string {
  return String(user).trim().toLowerCase()
}

async function login(context: Context<OnNode>): Promise<{ user: string; password: string }> {
  const { user, password } = await context.req.parseBody()
  return { user: nameOf(user), password: String(password) }
}

function hashOf(user: string, password: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, user, 32, (error, hash) => (error === null ? resolve(hash) : reject(error)))
  })
}
