/** Measures jobs of several processes that wait for few permits: how busy the permits are, and how soon the next job starts. */
import { SEMAPHORES, type SemaphoreName, type SemaphoreSetting } from '../contestants/semaphores.ts'
import type { Row } from '../harness/answer.ts'
import { rowOf } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against } from '../harness/compare.ts'
import { Crew } from '../harness/crew.ts'
import type { Job } from '../harness/jobs.ts'
import { type Measurement, samplesOf } from '../harness/metrics.ts'
import { measureDeath } from './permits-death.ts'

const PROCESSES = 4
const PERMITS = 8
const LEASE = 15_000
const OURS: SemaphoreName = 'onrush reserve'
const PEER: SemaphoreName = 'bottleneck'
const NAMES: readonly SemaphoreName[] = [OURS, 'redis-semaphore', PEER]

/** Jobs in all processes: all asked for at once, or by users who come one by one. */
interface Scene {
  readonly users: number
  readonly times: number
  readonly work: number
  readonly pause: number
}

export const permits: Question = {
  name: 'permits',
  isLong: true,
  title: 'At most so many at once',
  about: `${PROCESSES} processes, whose jobs need one of ${PERMITS} permits that are kept in Redis.`,
  remarks: [
    'permits busy: the time of all jobs, divided by the time of all permits from the first start to the last end.',
    'gap: from the end of a job to the next start, of whatever process. told: from when Redis granted a permit until the job started, by the fencing token.',
    'in order: how many pairs of jobs of a process have tokens in the order in which they had asked.',
    'redis-semaphore asks again every 10 ms by default. bottleneck keeps no lease: the jobs of a process that died stay counted until its heartbeat has been missing for 5 minutes.',
    'LiteLLM (not measured, because it is a gateway in Python): `max_parallel_requests` is a counter and no set of owners. Its issues report counts that stay raised after aborted or failed calls, ' +
      'so that a key is refused until the counter expires, and more calls at once than allowed under concurrency. It refuses, and has no queue.',
  ],
  async ask(bench) {
    const many = bench.quick ? 200 : 10_000
    const some = bench.quick ? 80 : 400
    bench.progress.expect((NAMES.length + 4) * (bench.rounds + 1) - 1)
    await using crew = await Crew.start(PROCESSES)
    const compared = await compare(bench, crew, NAMES, { users: some / PROCESSES, times: 1, work: 5, pause: 0 })
    const long = await compare(bench, crew, [OURS], { users: many / PROCESSES, times: 1, work: 5, pause: 0 })
    const longer = await compare(bench, crew, [OURS], { users: many / PROCESSES, times: 1, work: 20, pause: 0 })
    const alone = await compare(bench, crew, [OURS], { users: 1, times: bench.quick ? 20 : 200, work: 5, pause: 20 })
    const deaths: Measurement[] = []
    for (let round = 0; round < bench.rounds; round++) {
      deaths.push(await measureDeath(bench, crew, OURS))
      bench.progress.step(OURS)
    }
    const row = (rows: readonly Row[]) => rowOf(rows, OURS).samples
    return {
      settings: { processes: PROCESSES, permits: PERMITS, waitersCompared: some, waiters: many },
      sections: [
        {
          name: 'compared',
          title: `${some} jobs of 5 ms, all asked for at once`,
          ratio: `× ${PEER}`,
          plot: { kind: 'bars', metric: 'permitsBusy' },
          rows: against(compared, PEER, 'starts'),
        },
        { name: 'short', title: `${many} jobs of 5 ms`, rows: long },
        { name: 'long', title: `${many} jobs of 20 ms`, rows: longer },
        {
          name: 'death',
          title: 'One of four processes is killed, with a lease of 2 s',
          rows: [{ contestant: OURS, samples: samplesOf(deaths) }],
        },
        { name: 'alone', title: 'Four users who come one by one', rows: alone },
      ],
      goals: [
        // work / (work + 0.8 ms)
        { text: 'permits busy, jobs of 5 ms: ≥ 86 %', samples: row(long).permitsBusy ?? [], bound: { atLeast: 86 } },
        { text: 'permits busy, jobs of 20 ms: ≥ 96 %', samples: row(longer).permitsBusy ?? [], bound: { atLeast: 96 } },
        { text: 'told, p50: ≤ 0.5 ms', samples: row(longer).told50 ?? [], bound: { atMost: 0.5 } },
        { text: 'calls a job, users one by one: ≤ 2.1', samples: row(alone).calls ?? [], bound: { atMost: 2.1 } },
        {
          text: 'a process killed: never below 50 % of the free permits',
          samples: deaths.flatMap(({ leastOfFree = 0 }) => leastOfFree),
          bound: { atLeast: 50 },
        },
        { text: `most at once: ≤ ${PERMITS}`, samples: row(long).mostAtOnce ?? [], bound: { atMost: PERMITS } },
        { text: 'jobs in order: 100 %', samples: row(long).inOrder ?? [], bound: { atLeast: 100 } },
      ],
    }
  },
}

async function compare(bench: Bench, crew: Crew, names: readonly SemaphoreName[], scene: Scene): Promise<Row[]> {
  const contests = names.map((name) => ({ name, measurements: [] as Measurement[] }))
  for (let round = -1; round < bench.rounds; round++) {
    for (const { name, measurements } of contests) {
      const measurement = await measure(bench, crew, name, scene)
      // The first round warms up the compiler.
      if (round >= 0) measurements.push(measurement)
      bench.progress.step(name)
    }
  }
  return contests.map(({ name, measurements }) => ({ contestant: name, samples: samplesOf(measurements) }))
}

async function measure(bench: Bench, crew: Crew, name: SemaphoreName, scene: Scene): Promise<Measurement> {
  const database = Object.keys(SEMAPHORES).indexOf(name)
  const setting: SemaphoreSetting = { port: bench.redis.port, database, permits: PERMITS, lease: LEASE }
  const task = { name: 'jobs', semaphore: name, setting, ...scene } as const
  await bench.meter.flush()
  await crew.perform<'jobs'>(PROCESSES, () => ({ ...task, users: 1, times: 1, work: 0 }))
  const work = () => crew.perform<'jobs'>(PROCESSES, () => task)
  const { result, cost } = await bench.meter.measure(work)
  await crew.perform<'close'>(PROCESSES, () => ({ name: 'close' }))
  const jobs = result.flat()
  return {
    ...measurementOf(jobs),
    inOrder: inOrder(result),
    serverTime: (cost.commandTime * 1000) / jobs.length,
    calls: cost.calls / jobs.length,
  }
}

function measurementOf(jobs: readonly Job[]): Measurement {
  const starts = jobs.map(({ started }) => started).sort(ascending)
  const ends = jobs.map(({ ended }) => ended).sort(ascending)
  const span = (ends.at(-1) ?? 0) - (starts[0] ?? 0)
  const busy = jobs.reduce((sum, { started, ended }) => sum + ended - started, 0)
  const gaps = starts.slice(PERMITS).map((start, index) => start - (ends[index] ?? start))
  const told = jobs.flatMap(({ started, token }) => (token === undefined ? [] : [started - token / 1000]))
  return {
    starts: (jobs.length / span) * 1000,
    permitsBusy: (100 * busy) / (span * PERMITS),
    mostAtOnce: mostAtOnce(jobs),
    gap50: median(gaps),
    ...(told.length > 0 ? { told50: median(told) } : {}),
  }
}

function mostAtOnce(jobs: readonly Job[]): number {
  const changes = jobs.flatMap(({ started, ended }) => [
    { at: started, by: 1 },
    { at: ended, by: -1 },
  ])
  let held = 0
  let most = 0
  for (const { by } of changes.sort((one, other) => one.at - other.at || one.by - other.by)) {
    held += by
    most = Math.max(most, held)
  }
  return most
}

/** The part of all pairs of jobs of a process that were granted, or else started, in the order in which they were asked for, in percent. */
function inOrder(processes: readonly (readonly Job[])[]): number {
  let pairs = 0
  let inverted = 0
  for (const jobs of processes) {
    const places = jobs.map(({ token, started }) => token ?? started)
    pairs += (places.length * (places.length - 1)) / 2
    inverted += inversions(places)
  }
  return pairs === 0 ? 100 : 100 * (1 - inverted / pairs)
}

/** How many pairs of numbers fall. By merging, because there are many. */
function inversions(numbers: readonly number[]): number {
  if (numbers.length < 2) return 0
  const middle = numbers.length >> 1
  const left = numbers.slice(0, middle)
  const right = numbers.slice(middle)
  let count = inversions(left) + inversions(right)
  left.sort(ascending)
  right.sort(ascending)
  let at = 0
  for (const number of right) {
    while (at < left.length && (left[at] ?? 0) <= number) at++
    count += left.length - at
  }
  return count
}

function ascending(one: number, other: number): number {
  return one - other
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted(ascending)[numbers.length >> 1] ?? Number.NaN
}
