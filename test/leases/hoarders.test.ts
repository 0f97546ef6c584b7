/** Processes that hoard leases on a real Redis: they hold all they can, use it at one instant, and take what is left. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Quota } from 'onrush'
import { expect, test } from 'vitest'
import type { Hoarded, HoardingJob } from '../support/leases/hoarder.ts'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'

const WORKER = fileURLToPath(new URL('../support/leases/hoarder.ts', import.meta.url))
const PROCESSES = 2
const RATE = Quota.parse('4000/500ms')
const WITHIN = 250
/** Clocks differ by less. */
const SURE = 1.001

/** The most that was certainly admitted within closed spans of so many µs: answered until their end, less asked before they began. */
function mostWithin({ asked, answered }: Hoarded, span: number): number {
  let [most, until] = [0, 0]
  for (const [before, begin] of asked.entries()) {
    for (let end = answered[until]; end !== undefined && end <= begin + span; end = answered[until]) until++
    most = Math.max(most, until - before)
  }
  return most
}

/** The most that was certainly admitted within some closed span beyond what comes back in it, `perMicrosecond`. */
function mostBeyond({ asked, answered }: Hoarded, perMicrosecond: number): number {
  let [most, least, before] = [0, Number.POSITIVE_INFINITY, 0]
  for (const [index, end] of answered.entries()) {
    for (let begin = asked[before]; begin !== undefined && begin <= end; begin = asked[before])
      least = Math.min(least, before++ - begin * perMicrosecond)
    most = Math.max(most, index + 1 - end * perMicrosecond - least)
  }
  return most
}

test('hoarders in several processes use no more than the bound of each algorithm, and what they use is leased', async () => {
  const { url } = await sharedRedis()
  const children = Array.from({ length: PROCESSES }, () => fork(WORKER, { execArgv: ['--import', 'tsx'] }))
  await Promise.all(children.map((child) => once(child, 'message')))
  const start = Date.now() + 100
  const limiters = ['GcraLimiter', 'MovingWindowLimiter', 'FixedWindowLimiter']
  // So that what is used at the second, within a period before the last, was charged more than a period before the last.
  const strikes = [1, 2, 3, 4, 5].map((times) => start + times * 145)
  const job = { url, prefix: uniquePrefix(), limiters, rate: String(RATE), within: WITHIN, stores: 6, strikes }
  const ofProcesses = await Promise.all(children.map((child) => asked(child, job)))
  const [ofGcra, ofMoving, ofFixed] = limiters.map((_, index) => together(ofProcesses.flatMap((of) => of[index] ?? [])))
  if (ofGcra === undefined || ofMoving === undefined || ofFixed === undefined) throw new Error('a hoard is missing')
  const { limit, count, period } = RATE

  const perMicrosecond = (count * SURE) / (period * 1000)
  expect(mostBeyond(ofGcra, perMicrosecond)).toBeLessThanOrEqual(limit + WITHIN * 1000 * perMicrosecond)
  // Of the half-open span of a period, what is asked and answered less than the period apart.
  expect(mostWithin(ofMoving, (period * 1000) / SURE - 1)).toBeLessThanOrEqual(limit)
  expect(mostWithin(ofFixed, (period * 1000) / SURE - 1)).toBeLessThanOrEqual(2 * limit)
  for (const { leased } of [ofGcra, ofMoving, ofFixed]) expect(leased).toBeGreaterThan(0)
})

async function asked(child: ChildProcess, job: HoardingJob): Promise<Hoarded[]> {
  child.send(job)
  const [hoarded] = await once(child, 'message')
  child.disconnect()
  return hoarded
}

function together(all: readonly Hoarded[]): Hoarded {
  const ascending = (one: number, other: number): number => one - other
  return {
    asked: all.flatMap(({ asked }) => asked).sort(ascending),
    answered: all.flatMap(({ answered }) => answered).sort(ascending),
    leased: all.reduce((sum, { leased }) => sum + leased, 0),
  }
}
