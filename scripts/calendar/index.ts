/**
 * `npm run calendar -- TIMES`: lets four processes ask at saturation while a window of the calendar changes by the clock of a Redis server, and
 * sees that each window admits exactly its limit. The clock of one process is wrong by a year, and the data of time zones of another by
 * hours. Takes up to a minute each time, because the window must end at a full minute: by an offset whose midnight it is.
 */
import { CalendarClient } from '../../test/support/calendar/clients.ts'
import { startRedis } from '../../test/support/servers/redis.ts'

const LIMIT = 5000
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
  const admitted = await Promise.all(crew.map((one) => one.saturate(60_000).admitted))
  for (const one of crew) one.stop()
  const sums = [1, 0].map((first, window) => admitted.reduce((sum, counts) => sum + (counts[window] ?? 0), first))
  console.log(rate, limiter, sums)
  if (sums.some((sum) => sum !== LIMIT)) throw new Error(`expected ${LIMIT} in each window, got ${sums}`)
}

const [times = '2'] = process.argv.slice(2)
const redis = await startRedis()
try {
  for (let round = 0; round < Number(times); round++) {
    for (const limiter of ['FixedWindowLimiter', 'PeriodicLimiter']) await changeOfWindow(redis.url, limiter, round)
  }
} finally {
  await redis.stop()
}
