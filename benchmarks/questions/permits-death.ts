/** Measures how jobs go on when one of the processes that hold permits is killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { SemaphoreName } from '../contestants/semaphores.ts'
import type { Bench } from '../harness/bench.ts'
import { Crew } from '../harness/crew.ts'
import type { Job } from '../harness/jobs.ts'
import type { Measurement } from '../harness/metrics.ts'

const PERMITS = 8
const LEASE = 2000
/** ms. */
const WORK = 20
const BEFORE = 2500
/** Longer than the queue takes, so that callers of all processes mix in it. */
const PAUSE = 200
const AFTER = 1500
/** The rate is looked at in spans of so many ms. */
const SPAN = 200

/** One of four processes is killed. `crew` has three processes or more. */
export async function measureDeath(bench: Bench, crew: Crew, semaphore: SemaphoreName): Promise<Measurement> {
  await bench.meter.flush()
  const setting = { port: bench.redis.port, database: 0, permits: PERMITS, lease: LEASE }
  const task = { name: 'jobs', semaphore, setting, users: 24, times: 1_000_000, work: WORK, pause: PAUSE } as const
  await using doomed = await Crew.start(1)
  const client = new Redis(bench.redis.port, '127.0.0.1')
  const kill = epoch() + BEFORE
  const until = kill + LEASE + AFTER
  const dying = doomed.ask<'jobs'>({ ...task, until }).catch(() => [])
  const working = crew.perform<'jobs'>(3, () => ({ ...task, until }))
  await sleep(kill - epoch())
  doomed.kill()
  const killed = epoch()
  await sleep(5 * WORK)
  const held = await ticketsIn(client)
  await sleep(5 * WORK)
  const still = await ticketsIn(client)
  const dead = held.filter((one) => still.includes(one)).length
  const jobs = (await working).flat()
  await dying
  await crew.perform<'close'>(3, () => ({ name: 'close' }))
  client.disconnect()
  const free = (PERMITS - dead) * (SPAN / WORK)
  return {
    // Nothing can be asked for where the dead has held all.
    leastOfFree: free === 0 ? 100 : (100 * leastIn(jobs, killed + SPAN, killed + LEASE)) / free,
    backAfter: backAfter(jobs, killed, dead),
  }
}

/** The fewest starts in a span. */
function leastIn(jobs: readonly Job[], from: number, to: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let at = from; at + SPAN <= to; at += SPAN / 2) least = Math.min(least, startsIn(jobs, at))
  return least
}

/** After how many ms the rate stays nearer to that of before than to what is left without the permits of the dead. */
function backAfter(jobs: readonly Job[], killed: number, dead: number): number {
  const before = startsIn(jobs, killed - 2 * SPAN)
  const least = before * (1 - dead / PERMITS / 2)
  let back = 0
  for (let after = 0; after < LEASE + AFTER - SPAN; after += 10)
    if (startsIn(jobs, killed + after) < least) back = after + SPAN
  return back
}

function startsIn(jobs: readonly Job[], from: number): number {
  return jobs.filter(({ started }) => started >= from && started < from + SPAN).length
}

/** The tickets that are held, as texts. */
async function ticketsIn(client: Redis): Promise<string[]> {
  const [set = ''] = await client.keys('*:set')
  const members = await client.zrangebyscoreBuffer(set, '(0', '+inf')
  return members.filter((member) => member.readDoubleBE(8) > 0).map((member) => member.toString('hex'))
}

function epoch(): number {
  return performance.timeOrigin + performance.now()
}
