/** Shared by the tests of a single framework: a throttle whose clock stands still, and a served listener. */
import { createServer, type RequestListener } from 'node:http'
import { onTestFinished } from 'vitest'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from '../../../src/index.ts'
import { listening } from './servers.ts'

export function oneAnHour(): Throttle {
  return new Throttle({
    limiter: new GcraLimiter({ store: new DictionaryStore({ clock: () => 1_800_000_000_000_000 }) }),
    rate: Quota.perHour(1, { name: 'one' }),
  })
}

/** Serves until the test has ended; resolves to the address. */
export async function serve(listener: RequestListener): Promise<string> {
  const { url, close } = await listening(createServer(listener))
  onTestFinished(close)
  return url
}
