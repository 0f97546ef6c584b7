/**
 * `npm run leases:processes -- SECONDS`: for so many seconds (10 by default) for each algorithm, four processes ask one key as much as they can: one
 * uses each lease at once when it is about to end, one asks other throttles of the key too, and one is stopped and continued again and
 * again, for less and for more than a lease lasts. Sees that they admit no more than is proved in docs/leases.md.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { mostAdmitted } from '../test/support/leases/bounds.ts'
import { LeasingProcess, summed } from '../test/support/leases/saturation.ts'
import { startRedis } from '../test/support/servers/redis.ts'

const PROCESSES = 4
/** Of leases, in ms. */
const WITHIN = 40

const RATES: readonly (readonly [limiter: string, rate: string])[] = [
  ['GcraLimiter', '20000/second'],
  ['FixedWindowLimiter', '5000 per 250ms'],
  ['PeriodicLimiter', '5000 per 250ms'],
  ['MovingWindowLimiter', '4000 per 250ms'],
  ['SlidingWindowCounterLimiter', '5000 per 250ms'],
]

const seconds = Number(process.argv[2] ?? 10)
if (!(seconds > 0)) throw new RangeError(`SECONDS must be a number above 0, got ${process.argv[2]}`)

const redis = await startRedis()
const processes = Array.from({ length: PROCESSES }, () => new LeasingProcess())
const [stopped] = processes
if (stopped === undefined) throw new Error('there are processes')
try {
  // Holding nothing, each answers as soon as it has started.
  await Promise.all(processes.map((process) => process.ask('use')))
  for (const [limiter, rate] of RATES) await saturate(limiter, rate)
} finally {
  for (const process of processes) process.stop()
  await redis.stop()
}

async function saturate(limiter: string, rate: string): Promise<void> {
  const start = performance.now()
  const asked = processes.map((process, index) =>
    process.ask({
      saturate: {
        ...{ url: redis.url, prefix: limiter, limiter, rate, within: WITHIN, duration: seconds * 1000 },
        ...{ hoards: index === 1, mixes: index === 2 },
      },
    }),
  )
  const over = new AbortController()
  const stopping = stopAndContinue(over.signal)
  const { admitted, fromLeases } = summed(await Promise.all(asked))
  const elapsed = performance.now() - start
  over.abort()
  await stopping
  const most = mostAdmitted(limiter, rate, elapsed, WITHIN)
  const decidedHere = Math.round((100 * fromLeases) / admitted)
  console.log(`${limiter} ${rate}: ${admitted} of at most ${most} admitted, ${decidedHere} % of them from leases`)
  if (admitted > most) throw new Error(`${limiter} has admitted ${admitted - most} more than is proved`)
}

/** Stops the first process for up to twice the time of a lease, again and again. */
async function stopAndContinue(over: AbortSignal): Promise<void> {
  for (let round = 0; !over.aborted; round++) {
    stopped?.child.kill('SIGSTOP')
    await sleep((round % 5) * (WITHIN / 2))
    stopped?.child.kill('SIGCONT')
    await sleep(WITHIN)
  }
}
