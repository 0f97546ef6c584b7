/** A process that leases all it can, holds it, and uses it at an instant that all agree on. Started by `hoarders.test.ts`, never by hand. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RedisStore, Throttle } from 'onrush'
import { limiterNamed } from '../limiters.ts'

export interface HoardingJob {
  readonly url: string
  readonly prefix: string
  /** The class names of limiters. Each has a key of its own. */
  readonly limiters: readonly string[]
  readonly rate: string
  /** ms. */
  readonly within: number
  /** Stores of the process. Each holds leases of its own. */
  readonly stores: number
  /** When all use what they hold, in ms since the epoch: a few times what each has leased, and at last all that there is. */
  readonly strikes: readonly number[]
}

/** What was admitted, in µs of a clock that all processes of the machine share: when it was asked, and when answered. */
export interface Hoarded {
  readonly asked: number[]
  readonly answered: number[]
  /** How many were decided by a lease. */
  leased: number
}

/** Checks that are made at once, so that there is demand; and one by one, until one has brought a lease. */
const MANY = 40
const TRIES = 10

process.on('message', async (job: HoardingJob) => {
  process.send?.(await hoard(job))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function hoard({ url, prefix, limiters, rate, within, stores: count, strikes }: HoardingJob): Promise<Hoarded[]> {
  const stores = Array.from({ length: count }, () => new RedisStore({ url, prefix, timeout: 30_000 }))
  const hoards = limiters.map((name): { hoarded: Hoarded; throttles: Throttle[] } => {
    const Limiter = limiterNamed(name)
    const throttles = stores.map((store) => new Throttle({ limiter: new Limiter({ store }), rate, lease: within }))
    return { hoarded: { asked: [], answered: [], leased: 0 }, throttles }
  })
  for (const [index, strike] of strikes.entries()) {
    const each = hoards.flatMap(({ hoarded, throttles }) => throttles.map((throttle) => ({ hoarded, throttle })))
    await Promise.all(each.map(({ hoarded, throttle }) => lease(throttle, hoarded, strike)))
    await sleep(Math.max(0, strike - Date.now() - 1))
    while (Date.now() < strike);
    for (const { hoarded, throttle } of each) useHeld(throttle, hoarded)
    if (index === strikes.length - 1) await Promise.all(each.map(({ hoarded, throttle }) => useAll(throttle, hoarded)))
  }
  await Promise.all(stores.map((store) => store.close()))
  return hoards.map(({ hoarded }) => hoarded)
}

/** Checks until a lease is held. */
async function lease(throttle: Throttle, hoarded: Hoarded, until: number): Promise<void> {
  await checkMany(throttle, hoarded)
  for (let tries = 0; tries < TRIES && Date.now() < until; tries++) {
    const asked = now()
    const { limited, source } = await throttle.check('key')
    if (!limited) note(hoarded, asked, source)
    if (limited || source === 'lease') return
  }
}

function useHeld(throttle: Throttle, hoarded: Hoarded): void {
  for (;;) {
    const asked = now()
    const result = throttle.checkNow('key')
    if (result === undefined || result.limited) return
    note(hoarded, asked, result.source)
  }
}

async function useAll(throttle: Throttle, hoarded: Hoarded): Promise<void> {
  while (await checkMany(throttle, hoarded));
}

/** False when one was refused. */
async function checkMany(throttle: Throttle, hoarded: Hoarded): Promise<boolean> {
  const asked = now()
  const results = await Promise.all(Array.from({ length: MANY }, () => throttle.check('key')))
  for (const { limited, source } of results) if (!limited) note(hoarded, asked, source)
  return results.every(({ limited }) => !limited)
}

function note(hoarded: Hoarded, asked: number, source: string): void {
  hoarded.asked.push(asked)
  hoarded.answered.push(now())
  if (source === 'lease') hoarded.leased++
}

function now(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
