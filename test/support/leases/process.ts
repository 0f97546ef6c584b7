/** A process that asks as much as it can of a throttle with leases. Started by `saturation.ts`, never by hand. */
import { setImmediate as turn } from 'node:timers/promises'
import { RedisStore, subscribe, Throttle } from 'onrush'
import { limiterNamed } from '../limiters.ts'

/** What a process is to do. */
export interface Saturation {
  readonly url: string
  readonly prefix: string
  /** The class name of a limiter. */
  readonly limiter: string
  /** As `Quota.parseAll` reads it. */
  readonly rate: string
  /** Of leases, in ms. */
  readonly within: number
  /** For how long it asks at least, in ms. It goes on until it has used a lease, because on a busy machine a round trip may be too long for one. */
  readonly duration: number
  /** True: it leaves each lease alone as long as it can, and then uses it at once. */
  readonly hoards: boolean
  /** True: checks of other throttles on the key are among its checks. */
  readonly mixes: boolean
}

export interface Outcome {
  /** Units. */
  readonly admitted: number
  /** Of these, from leases. */
  readonly fromLeases: number
  /** Units that a lease has held when the process was told to hold it. */
  readonly held?: number
}

export type ProcessRequest =
  | { readonly saturate: Saturation }
  /** Get a lease, and leave it alone. */
  | { readonly hold: Saturation }
  /** Use what is held. */
  | 'use'
export type ProcessReply = Outcome | { readonly error: string }

const KEY = 'key'

process.on('message', (request: ProcessRequest) => {
  answer(request).then(
    (outcome) => process.send?.(outcome),
    (error: unknown) => process.send?.({ error: error instanceof Error ? `${error.stack}` : `${error}` }),
  )
})
process.on('disconnect', () => process.exit())

let holding: Throttle | undefined

async function answer(request: ProcessRequest): Promise<Outcome> {
  if (request === 'use') return use()
  return 'hold' in request ? hold(request.hold) : saturate(request.saturate)
}

function open({ url, prefix, limiter, rate, within }: Saturation): { store: RedisStore; throttle: Throttle } {
  const store = new RedisStore({ url, prefix, timeout: 30_000 })
  const Limiter = limiterNamed(limiter)
  return { store, throttle: new Throttle({ limiter: new Limiter({ store }), rate: rate, lease: within }) }
}

async function saturate(job: Saturation): Promise<Outcome> {
  const { store, throttle } = open(job)
  const other = new Throttle({ store, rate: '1000000000/day' })
  let admitted = 0
  let fromLeases = 0
  const until = performance.now() + job.duration
  const ask = async (): Promise<void> => {
    if (!(await throttle.check(KEY)).limited) admitted++
  }
  let heldSince: number | undefined
  while (performance.now() < until || fromLeases === 0) {
    const asked: Promise<unknown>[] = []
    if (job.hoards && heldSince !== undefined && performance.now() - heldSince < job.within * 0.9) {
      await turn()
      continue
    }
    heldSince = undefined
    for (let count = 0; count < 200; count++) {
      const result = throttle.checkNow(KEY)
      if (result === undefined) asked.push(ask())
      else if (!result.limited) {
        admitted++
        fromLeases++
      }
      if (job.mixes && count % 50 === 0) asked.push(other.check(KEY), throttle.peek(KEY))
    }
    await Promise.all(asked)
    if (asked.length > 0) heldSince = performance.now()
    await turn()
  }
  await store.close()
  return { admitted, fromLeases }
}

async function hold(job: Saturation): Promise<Outcome> {
  const { throttle } = open(job)
  let leased = 0
  const leave = subscribe('onrush:batch', (event) => {
    leased += event.leased
  })
  while (leased === 0) await Promise.all(Array.from({ length: 50 }, () => throttle.check(KEY)))
  leave()
  holding = throttle
  return { admitted: 0, fromLeases: 0, held: leased }
}

async function use(): Promise<Outcome> {
  let fromLeases = 0
  while (holding?.checkNow(KEY)?.source === 'lease') fromLeases++
  return { admitted: fromLeases, fromLeases }
}
