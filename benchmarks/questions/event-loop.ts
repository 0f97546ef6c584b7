/** Measures the effect on the rest of a service: how busy its event loop is, and how late its timers are. */
import type { Question } from '../harness/bench.ts'
import { against } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'
import { type Measurement, samplesOf } from '../harness/metrics.ts'

const KEYS = 10_000
const RATE = 15_000
const PEER = 'rate-limiter-flexible'

export const eventLoop: Question = {
  name: 'event-loop',
  title: 'The event loop under load',
  about: '15,000 checks a second of 10,000 keys in one process, however long the answers take.',
  remarks: ['An idle loop shows a delay of 1 ms, because the delay is sampled once a millisecond.'],
  async ask(bench) {
    await using field = await Field.open(
      bench,
      ['onrush', PEER, 'rate-limit-redis', 'redis-gcra', 'INCR'],
      { ports: [bench.redis.port], ...ROOMY },
      { kind: 'uniform', count: KEYS },
    )
    const contests = field.entrants.map((entrant) => ({ entrant, measurements: [] as Measurement[] }))
    bench.progress.expect(contests.length * (bench.rounds + 1))
    for (let round = -1; round < bench.rounds; round++) {
      for (const { entrant, measurements } of contests) {
        const measurement = await entrant.offer(RATE, bench.roundTime * 2)
        // The first round warms up the compiler.
        if (round >= 0) measurements.push(measurement)
        bench.progress.step(entrant.name)
      }
    }
    const rows = contests.map(({ entrant, measurements }) => {
      return { contestant: entrant.name, samples: samplesOf(measurements) }
    })
    return {
      settings: { keys: KEYS, checksASecond: RATE },
      sections: [
        {
          name: 'offered',
          title: 'At a fixed rate',
          ratio: `client µs × ${PEER}`,
          plot: { kind: 'bars', metric: 'utilization' },
          rows: against(rows, PEER, 'clientTime'),
        },
      ],
    }
  },
}
