/** A process in which nothing but waiting happens: it tells which timers that took, and of what Node warned. Started by `test/waiting/timers.test.ts`. */
import { setImmediate } from 'node:timers/promises'
import { type BaseStore, DictionaryStore, GcraLimiter, MovingWindowLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { WAITERS, type Waited } from './waited.ts'

const [url = '', prefix = ''] = process.argv.slice(2)
const redis = new RedisStore({ url, prefix, timeout: 20_000 })
const warnings: string[] = []
process.on('warning', ({ name, message }) => warnings.push(`${name}: ${message}`))

/** Timers that keep this process alive and have not fired yet. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

/** As many as there are when there are at least `least`, or when a second has passed. */
async function timersOf(least: number): Promise<number> {
  for (const end = performance.now() + 1000; timers() < least && performance.now() < end; ) await setImmediate()
  return timers()
}

/** A store that has just answered lets go of its own timer a little later. */
async function timersAtRest(): Promise<number> {
  for (const end = performance.now() + 1000; timers() > 0 && performance.now() < end; ) await setImmediate()
  return timers()
}

async function wait(store: BaseStore, Limiter: typeof GcraLimiter): Promise<Waited> {
  /** In debt, so that nobody starts before a period has passed. */
  async function spent(key: string, rate: Quota): Promise<Throttle> {
    const throttle = new Throttle({ limiter: new Limiter({ store }), rate })
    const reservation = await throttle.reserve(key, 0)
    await reservation.settle(rate.limit * 2)
    return throttle
  }

  const soon = await spent('soon', new Quota({ count: WAITERS, period: 600 }))
  const before = await timersAtRest()
  const waiting = Array.from({ length: WAITERS }, () => soon.acquire('soon'))
  const whileWaiting = (await timersOf(before + WAITERS)) - before
  const started = (await Promise.all(waiting)).filter(({ limited }) => !limited).length
  const afterwards = (await timersAtRest()) - before

  const left = new AbortController()
  const never = await spent('never', new Quota({ count: 1, period: '10 years' }))
  const leaving = Array.from({ length: WAITERS }, () => never.acquire('never', 1, { signal: left.signal }))
  const forYears = (await timersOf(before + WAITERS)) - before
  left.abort(new Error('enough'))
  const reasons = (await Promise.allSettled(leaving)).map((outcome) => 'reason' in outcome && `${outcome.reason}`)
  return {
    ...{ whileWaiting, started, afterwards, forYears },
    left: reasons.filter((reason) => reason === 'Error: enough').length,
    whenLeft: (await timersAtRest()) - before,
  }
}

await redis.ping()
const told = {
  inProcess: await wait(new DictionaryStore(), GcraLimiter),
  onRedis: await wait(redis, GcraLimiter),
  askingAgain: await wait(new DictionaryStore(), MovingWindowLimiter),
}
await redis.close()
console.log(JSON.stringify({ ...told, warnings }))
