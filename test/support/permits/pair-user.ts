/** A process whose users reserve permits of two keys together, in either order, again and again. Started by a test, never by hand. */
import { ConcurrencyLimiter, GcraLimiter, Quota, RedisStore, reserveAll, Throttle } from 'onrush'

/** How many users run beside each other. */
const USERS = 6

const [url = '', prefix = '', count = '1', times = '1'] = process.argv.slice(2)
const store = new RedisStore({ url, prefix, timeout: 30_000 })
const limiter = new ConcurrencyLimiter({ store })
const [one, other] = ['one', 'other'].map((key) => ({
  throttle: new Throttle({ limiter, rate: Quota.concurrent(Number(count), { name: 'pair' }) }),
  key,
}))
const none = { throttle: new Throttle({ limiter: new GcraLimiter({ store }), rate: '0/hour' }), key: 'none' }

/** Holds both keys so many times, half of them in the other order; each third time it also asks for a subject that always refuses. */
async function use(user: number): Promise<void> {
  if (one === undefined || other === undefined) throw new Error('no subjects')
  for (let round = 0, held = 0; held < Number(times); round++) {
    const pair = (user + round) % 2 === 0 ? [one, other] : [other, one]
    const refuses = (user + round) % 3 === 0
    const reservation = await reserveAll(refuses ? [...pair, none] : pair)
    if (!reservation.result.limited) held++
    if (!reservation.result.limited && refuses) throw new Error('reserved though a subject refuses')
    await reservation.settle().catch(() => {})
  }
}

process.once('disconnect', () => process.exit())
await store.ping()
process.once('message', async () => {
  await Promise.all(Array.from({ length: USERS }, (_, user) => use(user)))
  await store.close()
  process.send?.('done')
  process.disconnect()
})
process.send?.('ready')
