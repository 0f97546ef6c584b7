/** Measures several processes on one Redis: how throughput adds up, and what each decision costs the server. */
import type { Bench, Question } from '../harness/bench.ts'
import { against, costPerDecision } from '../harness/compare.ts'
import { Crew } from '../harness/crew.ts'
import { ROOMY } from '../harness/field.ts'
import { type Measurement, samplesOf } from '../harness/metrics.ts'
import type { Recruit } from '../harness/tasks.ts'

const SIZES = [1, 2, 4]
const MOST = 4
const PEER = 'rate-limiter-flexible'
const NAMES = ['onrush', PEER] as const
const KEYS = 10_000
const IN_FLIGHT = 512

export const processes: Question = {
  name: 'processes',
  title: 'Several processes',
  about: '10,000 keys, 512 checks in flight in each of 1, 2 and 4 processes on one Redis, none refused.',
  async ask(bench) {
    await using crew = await Crew.start(MOST)
    const recruits = NAMES.map((contestant, database): Recruit => {
      return { contestant, setting: { ports: [bench.redis.port], database, ...ROOMY } }
    })
    const contests = recruits.flatMap((recruit) => {
      return SIZES.map((size) => ({ recruit, size, measurements: [] as Measurement[] }))
    })
    for (const recruit of recruits) await crew.open(recruit)
    bench.progress.expect(contests.length * (bench.rounds + 1))
    for (let round = -1; round < bench.rounds; round++) {
      for (const { recruit, size, measurements } of contests) {
        const measurement = await measure(bench, crew, recruit, size)
        // The first round warms up the compiler.
        if (round >= 0) measurements.push(measurement)
        bench.progress.step(recruit.contestant)
      }
    }
    const rows = contests.map(({ recruit: { contestant }, size, measurements }) => {
      return { contestant, at: size, samples: samplesOf(measurements) }
    })
    return {
      settings: { keys: KEYS, inFlight: IN_FLIGHT },
      sections: [
        {
          name: 'processes',
          title: 'All processes together',
          varied: 'processes',
          ratio: `× ${PEER}`,
          plot: { kind: 'lines', metric: 'rate' },
          rows: against(rows, PEER),
        },
      ],
    }
  },
}

async function measure(bench: Bench, crew: Crew, recruit: Recruit, size: number): Promise<Measurement> {
  const { result, cost } = await bench.meter.measure(() =>
    crew.perform<'drive'>(size, () => {
      return {
        name: 'drive',
        recruit,
        keys: { kind: 'uniform', count: KEYS },
        inFlight: IN_FLIGHT,
        duration: bench.roundTime,
      }
    }),
  )
  const decisions = result.reduce((sum, answer) => sum + answer.decisions, 0)
  const processorTime = result.reduce((sum, answer) => sum + answer.processorTime, 0)
  return {
    rate: result.reduce((sum, { decisions, time }) => sum + (decisions / time) * 1000, 0),
    clientTime: (processorTime * 1000) / decisions,
    ...costPerDecision(cost, decisions),
  }
}
