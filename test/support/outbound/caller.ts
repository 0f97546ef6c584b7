/** A process that calls a vendor again and again: `caller.ts <redis> <prefix> <vendor> <end in ms since the epoch>`. Tells of each call when it ends. */
import { RedisStore, Throttle } from 'onrush'
import { outboundFetch } from 'onrush/outbound'

const [redis = '', prefix = '', vendor = '', end = ''] = process.argv.slice(2)
await using store = new RedisStore({ url: redis, prefix, timeout: '20s' })
const throttle = new Throttle({ store, rate: '200/second', blocks: true })
const call = outboundFetch({ throttle, key: 'vendor' })

interface Told {
  /** When the turn was asked for, and when the response had been heeded, in ms since the epoch. */
  readonly asked: number
  readonly ended: number
  readonly status: number
}

async function callAgainAndAgain(): Promise<void> {
  while (Date.now() < Number(end)) {
    const asked = Date.now()
    const response = await call(vendor)
    await response.arrayBuffer()
    const told: Told = { asked, ended: Date.now(), status: response.status }
    process.send?.(told)
  }
}

process.send?.('ready')
await new Promise((resolve) => process.once('message', resolve))
await Promise.all(Array.from({ length: 4 }, callAgainAndAgain))
process.disconnect()
