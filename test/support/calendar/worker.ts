/** A process with a clock and data of time zones of its own. Started by `clients.ts`, never by hand. */
import type { RedisStore, Throttle } from 'onrush'
import type { Job, Mistakes, Reply, Request } from './clients.ts'

const { timeOrigin } = performance

/** How far a passed-in clock is ahead of the true time, in ms. */
let clockAhead = 0

/** Whether saturation is to end. */
let finished = false

let store: RedisStore | undefined
let throttle: Throttle | undefined

/** The package, read when the process has its mistakes. */
const loading = load(JSON.parse(process.argv[2] ?? '{}'))

async function load({ ahead, shiftsZones }: Mistakes) {
  const now = Date.now.bind(Date)
  Date.now = () => now() + ahead
  Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin + ahead })
  if (shiftsZones) await shiftZones()
  return { onrush: await import('onrush'), limiters: await import('../limiters.ts') }
}

async function prepare({ url, prefix, limiter, rate, resend = false, clockAhead: given }: Job): Promise<void> {
  const { onrush, limiters } = await loading
  await store?.close()
  clockAhead = given ?? 0
  const clock = () => Math.floor((timeOrigin + performance.now() + clockAhead) * 1000)
  const options = { url, prefix, timeout: 30_000, resend, ...(given === undefined ? {} : { clock }) }
  store = new onrush.RedisStore(options)
  const Limiter = limiters.limiterNamed(limiter)
  throttle = new onrush.Throttle({ limiter: new Limiter({ store }), rate })
  await store.ping()
}

/** Lets all days begin as they do in Tokyo, as with data of time zones that are wrong. */
async function shiftZones(): Promise<void> {
  const { Temporal } = await import('temporal-polyfill')
  const { prototype } = Temporal.PlainDate
  const real = prototype.toZonedDateTime
  prototype.toZonedDateTime = function shifted() {
    return Reflect.apply(real, this, ['Asia/Tokyo'])
  }
  // As a runtime's own, because a loader of TypeScript may load the polyfill twice.
  Reflect.set(globalThis, 'Temporal', Temporal)
}

process.on('message', (request: Request) => {
  if ('clockAhead' in request) {
    clockAhead = request.clockAhead
    return
  }
  if ('finish' in request) {
    finished = true
    return
  }
  answer(request).then(send, (error: unknown) =>
    send({ error: error instanceof Error ? `${error.stack}` : `${error}` }),
  )
})
process.on('disconnect', () => process.exit())

async function answer(
  request: Exclude<Request, { readonly clockAhead: number } | { readonly finish: true }>,
): Promise<Reply> {
  if ('prepare' in request) {
    await prepare(request.prepare)
    return 'ready'
  }
  if (throttle === undefined) throw new Error('asked before there was a job')
  if ('checks' in request) {
    const results: { readonly remaining: number; readonly resetAfter: number; readonly limited: boolean }[] = []
    for (let check = 0; check < request.checks; check++) {
      const { remaining, resetAfter, limited } = await throttle.check('key')
      results.push({ remaining, resetAfter, limited })
    }
    return { results }
  }
  if ('saturate' in request) return { admitted: await saturateUntilTold(throttle) }
  return { admitted: await saturate(throttle, request.ends) }
}

/**
 * Asks as fast as it can until it was refused in both windows: that which ends within `ends` ms, and the next. Tells when it was refused in
 * the first.
 * @returns what was admitted in each
 */
async function saturate(throttle: Throttle, ends: number): Promise<number[]> {
  const admitted = [0, 0]
  const refused = [false, false]
  while (!refused[1]) {
    const results = await Promise.all(Array.from({ length: 100 }, () => throttle.check('key')))
    for (const { limited, resetAfter } of results) {
      const window = resetAfter <= ends ? 0 : 1
      if (!limited) admitted[window] = (admitted[window] ?? 0) + 1
      else if (!refused[window]) {
        refused[window] = true
        if (window === 0) send('full')
      }
    }
  }
  return admitted
}

/**
 * Asks as fast as it can until it is told to finish, and then until all checks of a turn were refused. Tells when it was refused first.
 * @returns what was admitted until the first refusal, and since
 */
async function saturateUntilTold(throttle: Throttle): Promise<number[]> {
  const admitted: [number, number] = [0, 0]
  let full = false
  finished = false
  while (true) {
    const isLast = finished
    const results = await Promise.all(Array.from({ length: 100 }, () => throttle.check('key')))
    const count = results.filter(({ limited }) => !limited).length
    admitted[full ? 1 : 0] += count
    if (full && isLast && count === 0) return admitted
    if (!full && count < results.length) {
      full = true
      send('full')
    }
  }
}

function send(reply: Reply): void {
  process.send?.(reply)
}
