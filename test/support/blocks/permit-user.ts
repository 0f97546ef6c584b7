/** A process that takes permits of a key and gives them back, as fast as it can, until it is told to stop. Started by a test, never by hand. */
import { ConcurrencyLimiter, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'

/** The throttle of the users, and of whoever blocks them. */
export function blockableThrottle(store: RedisStore): Throttle {
  return new Throttle({
    layers: [
      { limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(100) },
      { limiter: new GcraLimiter({ store }), rate: Quota.perSecond(1_000_000) },
    ],
    blocks: { name: 'users' },
  })
}

const USERS = 4

if (process.send !== undefined && process.argv[2] !== undefined) {
  const store = new RedisStore({ url: process.argv[2], prefix: process.argv[3] ?? '', timeout: 30_000 })
  const throttle = blockableThrottle(store)
  const tokens: number[] = []
  let stopped = false
  const use = async (): Promise<void> => {
    while (!stopped) {
      const { result, token, cancel } = await throttle.reserve('key')
      if (!result.limited && token !== undefined) tokens.push(token)
      await cancel()
    }
  }
  const users = store.ping().then(() => {
    process.send?.('ready')
    return Promise.all(Array.from({ length: USERS }, use))
  })
  process.on('message', async () => {
    stopped = true
    await users
    await store.close()
    process.send?.(tokens)
  })
  process.on('disconnect', () => process.exit())
}
