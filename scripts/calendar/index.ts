/**
 * `npm run calendar -- TIMES`: lets four processes ask at saturation while a window of the calendar changes by the clock of a Redis server, and
 * sees that each window admits exactly its limit, or as a sliding window what its exact model admits. The clock of one process is wrong by a
 * year, and the data of time zones of another by hours, except for the sliding window, which each process weighs by its own data. Takes up to a minute each time, because the window must end at a full minute: by an offset whose midnight it is.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Quota } from 'onrush'
import { CalendarClient } from '../../test/support/calendar/clients.ts'
import { ExactCalendarSliding } from '../../test/support/exact/calendar.ts'
import { startRedis } from '../../test/support/servers/redis.ts'

const LIMIT = 5000
/** Of a sliding window, near the most that is counted exactly in a day, so that several units leave in a minute. */
const SLIDING_LIMIT = 50_000
/** How long a sliding window is watched after it has begun, in ms. */
const WATCHED = 25_000
const YEAR = 365 * 86_400_000

/** The offset from UTC at which it is midnight at this time of a full minute. */
function offsetOf(time: number): string {
  const minutes = Math.round(time / 60_000) % 1440
  const before = minutes <= 720
  const off = before ? minutes : 1440 - minutes
  const two = (number: number) => String(number).padStart(2, '0')
  return `${before ? '-' : '+'}${two(Math.floor(off / 60))}:${two(off % 60)}`
}

async function changeOfWindow(url: string, limiter: string, round: number): Promise<void> {
  // Time to start the processes, and to use up the first window.
  const minute = Math.ceil((Date.now() + 15_000) / 60_000) * 60_000
  const rate = `${LIMIT}/calendar day in ${offsetOf(minute)}`
  const crew = [{}, {}, { ahead: YEAR }, { shiftsZones: true }].map((mistakes) => new CalendarClient(mistakes))
  await Promise.all(crew.map((one) => one.prepare({ url, limiter, rate, prefix: `${limiter} ${round}` })))
  // The process with wrong data must not be the first, because who opens a window says when it ends.
  await crew[0]?.check()
  const admitted = await Promise.all(crew.map((one) => one.saturate(90_000).admitted))
  for (const one of crew) one.stop()
  const sums = [1, 0].map((first, window) => admitted.reduce((sum, counts) => sum + (counts[window] ?? 0), first))
  console.log(rate, limiter, sums)
  if (sums.some((sum) => sum !== LIMIT)) throw new Error(`expected ${LIMIT} in each window, got ${sums}`)
}

async function changeOfSlidingWindow(url: string, round: number): Promise<void> {
  const limiter = 'SlidingWindowCounterLimiter'
  const minute = Math.ceil((Date.now() + 15_000) / 60_000) * 60_000
  const rate = `${SLIDING_LIMIT}/calendar day in ${offsetOf(minute)}`
  const crew = [{}, {}, { ahead: YEAR }, { ahead: -YEAR }].map((mistakes) => new CalendarClient(mistakes))
  await Promise.all(crew.map((one) => one.prepare({ url, limiter, rate, prefix: `${limiter} ${round}` })))
  const asking = crew.map((one) => one.saturateUntilTold())
  await Promise.all(asking.map(({ full }) => full))
  if (Date.now() >= minute) throw new Error('the first window ended before its limit was used up')
  const model = new ExactCalendarSliding(Quota.parse(rate))
  model.spend(BigInt(minute - 1) * 1000n, BigInt(SLIDING_LIMIT))
  await sleep(minute + WATCHED - Date.now())
  const least = model.available(BigInt(Date.now()) * 1000n)
  for (const one of crew) one.finish()
  const admitted = await Promise.all(asking.map((one) => one.admitted))
  const most = model.available(BigInt(Date.now()) * 1000n)
  for (const one of crew) one.stop()
  const [before = 0, since = 0] = [0, 1].map((step) => admitted.reduce((sum, counts) => sum + (counts[step] ?? 0), 0))
  console.log(rate, limiter, [before, since], `the model: ${SLIDING_LIMIT}, from ${least} to ${most}`)
  if (before !== SLIDING_LIMIT || since > most || since < least) throw new Error('expected what the model admits')
}

const [times = '2'] = process.argv.slice(2)
const redis = await startRedis()
try {
  for (let round = 0; round < Number(times); round++) {
    for (const limiter of ['FixedWindowLimiter', 'PeriodicLimiter']) await changeOfWindow(redis.url, limiter, round)
    await changeOfSlidingWindow(redis.url, round)
  }
} finally {
  await redis.stop()
}
