/** Measures many callers that wait for one rate: how many get a turn, and how close to their turn they start. */
import { QUEUES, type Queue, type QueueName } from '../contestants/queues.ts'
import type { Row } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against } from '../harness/compare.ts'
import { collectGarbage } from '../harness/garbage.ts'
import { type Measurement, samplesOf } from '../harness/metrics.ts'

const NAMES: readonly QueueName[] = [
  'onrush acquire',
  'onrush check, polled',
  'bottleneck',
  'rate-limiter-flexible queue',
  'p-throttle, in the process',
]
const PEER: QueueName = 'bottleneck'
/** Starts per second: a rate that no contestant reaches, and a rate that an API might allow. */
const AMPLE = 1_000_000
const MODEST = 500

export const waiters: Question = {
  name: 'waiters',
  title: 'Waiting one’s turn',
  about: 'One process whose callers all ask at once, and wait until a rate that is kept in Redis lets them start.',
  remarks: [
    'start error: how far the start of each lay from its place in a row of evenly spaced starts that begins with the first.',
    'p-throttle counts in the process: its rate is not shared, and nothing is asked of Redis.',
    'The queue of rate-limiter-flexible counts in windows of a second, so all of a window’s starts come at its beginning.',
  ],
  async ask(bench) {
    const many = bench.quick ? 200 : 2000
    const some = (MODEST * (bench.quick ? 100 : 500)) / 1000
    bench.progress.expect(2 * NAMES.length * (bench.rounds + 1))
    const turns = await compare(bench, AMPLE, many)
    const starts = await compare(bench, MODEST, some)
    return {
      settings: { waitersAtAnyRate: many, waitersAtAModestRate: some, modestRate: MODEST },
      sections: [
        {
          name: 'turns',
          title: 'As many as can be',
          ratio: `× ${PEER}`,
          plot: { kind: 'bars', metric: 'starts' },
          rows: against(turns, PEER, 'starts'),
        },
        {
          name: 'starts',
          title: `At ${MODEST} starts a second`,
          plot: { kind: 'bars', metric: 'startError99' },
          rows: starts,
        },
      ],
    }
  },
}

/** Measures all libraries in turn, round by round, and returns a row for each. */
async function compare(bench: Bench, rate: number, count: number): Promise<Row[]> {
  const contests = NAMES.map((name) => ({ name, measurements: [] as Measurement[] }))
  for (let round = -1; round < bench.rounds; round++) {
    for (const { name, measurements } of contests) {
      const measurement = await measure(bench, name, rate, count)
      // The first round warms up the compiler.
      if (round >= 0) measurements.push(measurement)
      bench.progress.step(name)
    }
  }
  return contests.map(({ name, measurements }) => ({ contestant: name, samples: samplesOf(measurements) }))
}

async function measure(bench: Bench, name: QueueName, rate: number, count: number): Promise<Measurement> {
  await bench.meter.flush()
  await using queue = await QUEUES[name]({ port: bench.redis.port, database: NAMES.indexOf(name), rate })
  collectGarbage()
  const asked = performance.now()
  const { result: starts, cost } = await bench.meter.measure(() => startsOf(queue, count))
  const [first = asked] = starts
  const errors = starts.map((start, place) => Math.abs(start - first - (place * 1000) / rate)).sort((a, b) => a - b)
  return {
    starts: (count / ((starts.at(-1) ?? asked) - asked)) * 1000,
    serverTime: (cost.commandTime * 1000) / count,
    calls: cost.calls / count,
    ...(rate === AMPLE ? {} : { startError50: at(errors, 0.5), startError99: at(errors, 0.99) }),
  }
}

/** The start times of `count` callers that ask at once, in ms. */
async function startsOf(queue: Queue, count: number): Promise<number[]> {
  const starts: number[] = []
  await Promise.all(
    Array.from({ length: count }, async () => {
      await queue.wait()
      starts.push(performance.now())
    }),
  )
  return starts
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
}
