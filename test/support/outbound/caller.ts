/** A process that calls a vendor again and again: `caller.ts <redis> <vendor>`. It starts and stops at a word, and tells of each call. */
import { RedisStore, Throttle } from 'onrush'
import { outboundFetch } from 'onrush/outbound'

/** Times in ms since the epoch. */
export interface Call {
  readonly path: string
  /** When the turn was asked for. */
  readonly asked: number
  /** When the response had been heeded. */
  readonly heeded: number
  readonly status: number
  /** The end of the block, of a refused call. */
  readonly blockedUntil?: number | undefined
}

/** Calls of a process at one time. */
const AT_ONCE = 4

const [redis = '', vendor = ''] = process.argv.slice(2)
const store = new RedisStore({ url: redis, timeout: '20s' })
const throttle = new Throttle({ store, rate: '500/second', blocks: true })
const call = outboundFetch({ throttle, key: 'vendor' })
let stops = false

async function callAgainAndAgain(order: number): Promise<void> {
  for (let index = 0; !stops; index++) {
    const url = new URL(`${vendor}-${order}-${index}`)
    const asked = Date.now()
    const { status } = await call(url)
    const heeded = Date.now()
    const blockedUntil = status === 429 ? (await throttle.peek('vendor')).blockedUntil?.getTime() : undefined
    const told: Call = { path: url.pathname, asked, heeded, status, blockedUntil }
    process.send?.(told)
  }
}

process.send?.('ready')
process.on('message', async (word) => {
  if (word === 'stop') stops = true
  if (word !== 'go') return
  await Promise.all(Array.from({ length: AT_ONCE }, (_, order) => callAgainAndAgain(order)))
  await store.close()
  process.disconnect()
})
