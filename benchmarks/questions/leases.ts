/**
 * Measures leases beside the same limiter without them and beside the peer: how many calls Redis gets, how much of the quota is used and how much
 * lapses, and whether more passes than the bound allows. The quotas follow from what the peer can decide on this machine.
 */
import { availableParallelism } from 'node:os'
import type { Row, Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { Crew } from '../harness/crew.ts'
import { type KeyOrder, keysOf } from '../harness/keys.ts'
import { type Measurement, samplesOf } from '../harness/metrics.ts'
import { excess, type Paced } from '../harness/pace.ts'
import type { Recruit } from '../harness/tasks.ts'

const OURS = 'onrush lease'
const FIXED = 'onrush lease, fixed window'
const PEER = 'rate-limiter-flexible inMemoryBlock'
const NAMES = [OURS, 'onrush', PEER] as const
type Name = (typeof NAMES)[number] | typeof FIXED | 'onrush fixed window' | 'rate-limiter-flexible'
/** How many times the rate of one key all keys together are checked. */
const MANY_KEYS = 2
/** ms, of the contestants with leases. */
const WITHIN = 20
const SIZES = [1, 2, 8]
const DEMANDS = [0.5, 0.95, 1.1, 2, 10]
const ZIPF: KeyOrder = { kind: 'zipf', count: 10_000 }
const ONE: KeyOrder = { kind: 'one' }
/** Buckets of wso2's scenario, in seconds, and its quota a second. */
const BUCKETS = [1, 5, 10, 20]
const WSO2_RATE = 1000

const PLOTS = {
  plot: { kind: 'lines', metric: 'callsPerSecond' },
  otherPlot: { kind: 'lines', metric: 'quotaUsed' },
} as const

export const leases: Question = {
  name: 'leases',
  isLong: true,
  title: 'Leases',
  about: `Leases of ${WITHIN} ms (GCRA), beside onrush without leases (GCRA) and ${PEER} (a fixed window). Processes check at a fixed rate: so many times what the quota allows.`,
  remarks: [
    'Each row at a fixed rate is one run, of two seconds or (where there were fewer rounds) one; each of 1,000 a second one of eight seconds a round.',
    'wasted: units that leases charged and nobody used, as a share of all units charged. quota used: what was admitted, of what came back meanwhile.',
    'most above the bound: units that certainly passed in some span beyond limit + count × (span + lease) / period; below 0: never as many.',
    'The published rows are those of wso2/api-platform#2187: a fixed window of 1,000 a second over several gateways, which count locally and tell Redis each 50 or 10 ms.',
  ],
  async ask(bench) {
    const sizes = bench.quick ? [2] : SIZES
    const demands = bench.quick ? [0.95, 2] : DEMANDS
    const seconds = bench.quick ? 0.4 : Math.max(1, Math.round(bench.rounds * 0.4))
    await using crew = await Crew.start(Math.max(...sizes))
    const rate = await quotaFor(bench, crew)
    const paced = sizes.length * demands.length * NAMES.length
    bench.progress.expect((bench.quick ? 1 : 2) * paced + 2 * NAMES.length + 4)
    const sections: Section[] = []
    for (const keys of bench.quick ? [ONE] : [ONE, ZIPF]) {
      for (const size of sizes) {
        const rows: Row[] = []
        for (const demand of demands)
          for (const name of NAMES) rows.push(await pacedRow(bench, crew, { name, keys, size, demand, rate, seconds }))
        sections.push({
          name: `${keys.kind}-${size}`,
          title: `${keys.kind === 'one' ? 'One key' : '10,000 keys (Zipf), the demand of the first'}, ${size} ${size === 1 ? 'process' : 'processes'}`,
          varied: 'demand ÷ quota',
          ...(keys.kind === 'one' ? PLOTS : {}),
          rows,
        })
      }
    }
    sections.push(await beside(bench, crew, rate, seconds))
    sections.push(await speed(bench, crew, rate))
    sections.push(await buckets(bench, crew, bench.quick ? 1 : 8 * bench.rounds))
    const used = sections.flatMap(({ rows }) => rows.filter(({ contestant }) => contestant === OURS))
    return {
      settings: { quotaPerSecond: rate, lease: `${WITHIN} ms`, seconds },
      sections,
      goals: [
        {
          text: 'leases: units above the bound: 0',
          samples: [Math.max(0, ...used.flatMap(({ samples }) => samples.excess ?? []))],
          bound: { atMost: 0 },
        },
      ],
    }
  },
}

/** Units a second: half of what the peer decides of one key here, so that it keeps up with the quota. */
async function quotaFor(bench: Bench, crew: Crew): Promise<number> {
  const recruit = await recruited(bench, crew, 'rate-limiter-flexible', 1e9)
  const { decisions, time } = await crew.ask<'rush'>({
    ...{ name: 'rush', recruit, keys: ONE, inFlight: 256 },
    duration: Math.max(bench.roundTime, 200),
  })
  return Number(((decisions / time) * 500).toPrecision(1))
}

/** Opens the contestant in all processes, on a server that has forgotten all. */
async function recruited(bench: Bench, crew: Crew, contestant: Name, limit: number): Promise<Recruit> {
  await bench.meter.flush()
  const recruit: Recruit = { contestant, setting: { ports: [bench.redis.port], limit, period: 1000 } }
  await crew.open(recruit)
  return recruit
}

interface PacedRun {
  readonly name: (typeof NAMES)[number]
  readonly keys: KeyOrder
  readonly size: number
  readonly demand: number
  /** Units a second of one key. */
  readonly rate: number
  readonly seconds: number
}

async function pacedRow(bench: Bench, crew: Crew, run: PacedRun): Promise<Row> {
  const { name, keys, size, demand, rate, seconds } = run
  const [hottest, share] = hottestOf(keys)
  // Of one key the rate varies with the demand. Of many the quota does, so that all runs make as many checks.
  const total = keys.kind === 'one' ? rate * demand : rate * MANY_KEYS
  const limit = Math.max(1, Math.round(keys.kind === 'one' ? rate : (total * share) / demand))
  const recruit = await recruited(bench, crew, name, limit)
  const start = nextSecond()
  const { result, cost } = await bench.meter.measure(() =>
    crew.perform<'pace'>(size, (place) => ({
      ...{ name: 'pace', recruit, keys, watched: hottest, rate: total / size, start, duration: seconds * 1000 },
      // A bucket is empty at first, so that the quota that is used is what comes back. A window gives no more than that anyway.
      drained: place === 0 && name !== PEER ? limit : 0,
    })),
  )
  bench.progress.step(`${name}, ${demand}`)
  return {
    contestant: name,
    at: demand,
    samples: samplesOf([measured(result, cost.calls, { limit, rate: limit, seconds, isOurs: name === OURS })]),
  }
}

interface Meaning {
  readonly limit: number
  readonly rate: number
  readonly seconds: number
  readonly isOurs: boolean
}

function measured(result: readonly Paced[], calls: number, { limit, rate, seconds, isOurs }: Meaning): Measurement {
  const sum = (of: (paced: Paced) => number): number => result.reduce((total, paced) => total + of(paced), 0)
  const decisions = sum((paced) => paced.decisions)
  const admitted = sum((paced) => paced.admitted)
  const lapsed = sum((paced) => paced.lapsed)
  // Who does not tell makes a call for each check that it does not decide here.
  const here = sum((paced) => paced.here ?? Math.max(0, paced.decisions - (calls * paced.decisions) / decisions))
  return {
    rate: decisions / seconds,
    callsPerSecond: calls / seconds,
    decidedHere: (100 * here) / decisions,
    quotaUsed: (100 * sum((paced) => paced.asked.length)) / (rate * seconds),
    ...(isOurs ? { wasted: (100 * lapsed) / (admitted + lapsed) } : {}),
    ...(isOurs ? { excess: excess(result, { limit, rate, within: WITHIN * 1000 }) } : {}),
  }
}

/** Two processes: one asks for ten times the quota, and one for a twentieth of it. */
async function beside(bench: Bench, crew: Crew, rate: number, seconds: number): Promise<Section> {
  const rows: Row[] = []
  for (const name of NAMES) {
    const recruit = await recruited(bench, crew, name, rate)
    const start = nextSecond()
    const { result, cost } = await bench.meter.measure(() =>
      crew.perform<'pace'>(2, (place) => ({
        ...{
          name: 'pace',
          recruit,
          keys: ONE,
          watched: hottestOf(ONE)[0],
          drained: 0,
          start,
          duration: seconds * 1000,
        },
        rate: place === 0 ? rate * 10 : rate / 20,
      })),
    )
    const [, slow] = result
    const slowPasses = slow === undefined ? Number.NaN : (100 * slow.admitted) / slow.decisions
    const all = measured(result, cost.calls, { limit: rate, rate, seconds, isOurs: name === OURS })
    rows.push({ contestant: name, samples: samplesOf([{ ...all, slowPasses }]) })
    bench.progress.step(name)
  }
  return { name: 'beside', title: 'A caller for a twentieth of the quota beside one for ten times the quota', rows }
}

/** One process, as fast as it can: nearly all admitted, and nearly all refused. */
async function speed(bench: Bench, crew: Crew, rate: number): Promise<Section> {
  const rows: Row[] = []
  for (const name of NAMES) {
    for (const [suffix, limit] of [
      ['', 1e9],
      [', refused', rate],
    ] as const) {
      const recruit = await recruited(bench, crew, name, limit)
      const task = {
        name: 'rush',
        recruit,
        keys: ONE,
        inFlight: 256,
        duration: Math.max(bench.warmUpTime, 100),
      } as const
      await crew.ask<'rush'>(task)
      const measurements: Measurement[] = []
      for (let round = 0; round < bench.rounds; round++) {
        const { result, cost } = await bench.meter.measure(() =>
          crew.ask<'rush'>({ ...task, duration: bench.roundTime }),
        )
        const { decisions, time, lapsed } = result
        measurements.push({
          ...{ rate: (decisions / time) * 1000, callsPerSecond: (cost.calls / time) * 1000 },
          // Of refused checks nothing is charged that could be a share of them.
          ...(name === OURS && suffix === '' ? { wasted: (100 * lapsed) / (decisions + lapsed) } : {}),
        })
      }
      rows.push({ contestant: `${name}${suffix}`, samples: samplesOf(measurements) })
    }
    bench.progress.step(name)
  }
  return {
    name: 'speed',
    title: `One process, one key, as fast as it can`,
    plot: { kind: 'bars', metric: 'rate' },
    rows,
  }
}

/** wso2's scenario: 1,000 a second over several processes that ask for more, by the seconds over which is counted. */
async function buckets(bench: Bench, crew: Crew, seconds: number): Promise<Section> {
  const size = Math.min(2, availableParallelism())
  const rows: Row[] = []
  for (const name of [FIXED, 'onrush fixed window', 'rate-limiter-flexible'] as const) {
    const recruit = await recruited(bench, crew, name, WSO2_RATE)
    const start = nextSecond()
    const result = await crew.perform<'pace'>(size, () => ({
      ...{ name: 'pace', recruit, keys: ONE, watched: hottestOf(ONE)[0], drained: 0, start },
      ...{ rate: (5 * WSO2_RATE) / size, duration: seconds * 1000 },
    }))
    const answered = result.flatMap((paced) => paced.answered).sort((one, other) => one - other)
    for (const bucket of BUCKETS.filter((length) => length <= seconds)) {
      const shares = sharesIn(answered, bucket, seconds)
      const inBucket = shares.reduce((sum, share) => sum + share, 0) / shares.length
      rows.push({ contestant: name, at: bucket, samples: samplesOf([{ inBucket, mostInBucket: Math.max(...shares) }]) })
    }
    bench.progress.step(name)
  }
  for (const [contestant, inBucket] of [
    ['wso2, each 50 ms (published)', 1.131],
    ['wso2, each 10 ms (published)', 1.037],
  ] as const)
    rows.push({ contestant, samples: { inBucket: [inBucket] } })
  return { name: 'buckets', title: '1,000 a second, asked five times as often', varied: 'seconds', rows }
}

/** For each bucket: what was admitted in it, as a share of what the quota allows. Buckets begin where windows of the quota do. */
function sharesIn(answered: readonly number[], bucket: number, seconds: number): number[] {
  // Asked five times as often, a window has nothing left long before it ends, so nothing lies near the borders of these buckets.
  const begin = (answered[0] ?? 0) - 100_000
  const counts = Array.from({ length: Math.floor(seconds / bucket) }, () => 0)
  for (const time of answered) {
    const index = Math.floor((time - begin) / 1e6 / bucket)
    if (index < counts.length) counts[index] = (counts[index] ?? 0) + 1
  }
  return counts.map((count) => count / (WSO2_RATE * bucket))
}

/** The key that is checked most, and its share of the checks. */
function hottestOf(order: KeyOrder): readonly [key: string, share: number] {
  const keys = keysOf(order)
  if (order.kind !== 'zipf') return [keys(0), 1]
  const share =
    1 / Array.from({ length: order.count }, (_, rank) => 1 / (rank + 1)).reduce((sum, part) => sum + part, 0)
  return [keysOf({ kind: 'one' })(0), share]
}

/** ms since the epoch; soon after, so that windows that are aligned to the clock begin there too. */
function nextSecond(): number {
  return Math.ceil((Date.now() + 150) / 1000) * 1000
}
