/** Five guesses, then fifteen quiet minutes: `npx tsx examples/own-algorithm/main.ts`; with REDIS_URL it counts in that Redis. */
import { Quota, storeFromUrl, Throttle } from 'onrush'
import { QuietWindowLimiter } from './quiet-window.ts'

const store = storeFromUrl(process.env.REDIS_URL ?? 'memory://')
const rate = new Quota({ count: 5, period: '15 minutes' })
const guesses = new Throttle({ limiter: new QuietWindowLimiter({ store }), rate })

for (let guess = 1; guess <= 6; guess++) {
  const { limited, remaining, retryAfter } = await guesses.check('ann')
  console.log(limited ? `wait ${Math.ceil(retryAfter / 60_000)} minutes` : `${remaining} guesses left`)
}
await store.close()
