/** Measures what a limiter adds to an HTTP request on Express and Fastify. autocannon loads the services in turn. */
import autocannon from 'autocannon'
import { build } from 'hdr-histogram-js'
import { BARE, FRAMEWORKS, type Framework, KEYS, Service } from '../contestants/http.ts'
import { type Goal, type Row, rowOf, type Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against, measurementOf, ratio } from '../harness/compare.ts'
import { collectGarbage } from '../harness/garbage.ts'
import { summaryOf } from '../harness/load.ts'
import { type Measurement, type MetricName, samplesOf } from '../harness/metrics.ts'

const ONE = 1
const FEW = 8
const MANY = 32

export const http: Question = {
  name: 'http',
  title: 'Requests over HTTP',
  about:
    'Requests of 10,000 users to one process, none refused, by few and by many connections that ask without a pause.',
  remarks: [
    'client µs is processor time of the service for a request.',
    'The cost of a limiter is its figure minus that of the bare framework, in the same round.',
    'express-rate-limit keeps its counts by rate-limit-redis on node-redis; the others use ioredis.',
  ],
  async ask(bench) {
    const numbers = bench.quick ? [MANY] : [ONE, FEW, MANY]
    const frameworks = bench.quick ? FRAMEWORKS.slice(-1) : FRAMEWORKS
    const contests: Contest[] = []
    try {
      for (const framework of frameworks) {
        for (const name of Object.keys(framework.services)) {
          const service = await Service.start(framework, name, bench.redis.port)
          contests.push(...numbers.map((connections) => ({ service, connections, measurements: [] })))
        }
      }
      await compete(bench, contests)
    } finally {
      for (const { service } of contests) service.stop()
    }
    const compared = frameworks.map((framework) => {
      const rows = contests.filter(({ service }) => service.framework === framework).map(rowOfContest)
      return { framework, rows, added: against(addedTo(rows), framework.peer, 'p50') }
    })
    return {
      settings: { keys: KEYS, connections: numbers.join(', ') },
      sections: compared.flatMap(({ framework, rows, added }) => sectionsOf(framework, rows, added)),
      goals: compared.flatMap(({ framework, rows, added }) => goalsOf(framework, rows, added, numbers)),
    }
  },
}

interface Contest {
  readonly service: Service
  readonly connections: number
  readonly measurements: Measurement[]
}

/** Runs round by round, in alternating order, so that no contestant always runs after the same one. */
async function compete(bench: Bench, contests: readonly Contest[]): Promise<void> {
  bench.progress.expect(contests.length * (bench.rounds + 1))
  for (let round = -1; round < bench.rounds; round++) {
    for (const { service, connections, measurements } of round % 2 === 0 ? contests : contests.toReversed()) {
      // The first round warms up the compiler.
      const duration = round < 0 ? bench.warmUpTime * 4 : bench.roundTime * 2
      const measurement = await measure(service, connections, duration)
      if (round >= 0) measurements.push(measurement)
      bench.progress.step(`${service.framework.title}, ${service.name}`)
    }
  }
}

async function measure(service: Service, connections: number, duration: number): Promise<Measurement> {
  const latencies = build({ highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3, bitBucketSize: 32 })
  const connected = new Set<autocannon.Client>()
  let decisions = 0
  let last = 0
  collectGarbage()
  const processorStart = await service.processorTime()
  const start = performance.now()
  const { errors, non2xx } = await new Promise<autocannon.Result>((resolve, reject) => {
    const options = { url: service.url, connections, duration: duration / 1000, sampleInt: 10 }
    const load = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)))
    // Recorded here, because autocannon's own histogram has only whole milliseconds.
    load.on('response', (client, _status, _bytes, milliseconds) => {
      decisions++
      last = performance.now()
      // The first response of a connection is skipped, because it waited until all connections were open.
      if (connected.has(client)) latencies.recordValue(Math.round(milliseconds * 1e6))
      else connected.add(client)
    })
  })
  if (errors + non2xx > 0) throw new Error(`${service.name} failed ${errors + non2xx} requests`)
  const processorTime = (await service.processorTime()) - processorStart
  const { rate = 0, ...others } = measurementOf(summaryOf({ decisions, time: last - start, processorTime, latencies }))
  return { requests: rate, ...others }
}

function rowOfContest({ service, connections, measurements }: Contest): Row {
  return { contestant: service.name, at: connections, samples: samplesOf(measurements) }
}

/** The limiters' rows minus the bare framework's row. */
function addedTo(rows: readonly Row[]): Row[] {
  return rows
    .filter(({ contestant }) => contestant !== BARE)
    .map((row) => {
      const bare = rowOf(rows, BARE, row.at)
      const less = (metric: MetricName) => differences(row, bare, metric)
      return { ...row, samples: { clientTime: less('clientTime'), p50: less('p50'), p99: less('p99') } }
    })
}

/** The difference in each round. */
function differences(row: Row, other: Row, metric: MetricName): number[] {
  const others = other.samples[metric] ?? []
  return (row.samples[metric] ?? []).map((sample, round) => sample - (others[round] ?? Number.NaN))
}

function sectionsOf({ name, title, peer }: Framework, rows: readonly Row[], added: readonly Row[]): Section[] {
  const varied = 'connections'
  return [
    { name: `${name}-requests`, title: `${title}: requests`, varied, rows },
    { name: `${name}-added`, title: `${title}: what the limiter adds`, varied, ratio: `p50 × ${peer}`, rows: added },
  ]
}

function goalsOf(
  { title, peer }: Framework,
  rows: readonly Row[],
  added: readonly Row[],
  numbers: readonly number[],
): Goal[] {
  return numbers.flatMap((connections) => {
    const us = rowOf(rows, 'onrush', connections)
    const processorTime: Goal = {
      text: `${title}, connections: ${connections}, processor time of a request: ≤ 0.9× ${peer}'s`,
      samples: ratio(us, rowOf(rows, peer, connections), 'clientTime'),
      bound: { atMost: 0.9 },
    }
    const times = (['p50', 'p99'] as const).map((metric) => ({
      text: `${title}, connections: ${connections}, µs added at ${metric}: less ${peer}'s, ≤ 0`,
      samples: differences(rowOf(added, 'onrush', connections), rowOf(added, peer, connections), metric),
      bound: { atMost: 0 },
    }))
    return connections === ONE ? times : [processorTime, ...times]
  })
}
