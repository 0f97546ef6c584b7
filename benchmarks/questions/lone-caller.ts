/** Measures one check at a time, to see if batching delays a lone caller. */
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'

const KEYS = 10_000
const PEER = 'GCRA EVALSHA'

export const loneCaller: Question = {
  name: 'lone-caller',
  title: 'A lone caller',
  about: 'One check after another, each made when the one before is answered.',
  async ask(bench) {
    await using field = await Field.open(
      bench,
      ['onrush', PEER, 'rate-limiter-flexible', 'rate-limit-redis', 'redis-gcra', 'INCR'],
      { ports: [bench.redis.port], ...ROOMY },
      { kind: 'uniform', count: KEYS },
    )
    const rows = await compare(bench, field.entrants, { inFlight: 1, sampling: 1, meter: bench.meter })
    return {
      settings: { keys: KEYS, inFlight: 1 },
      sections: [
        {
          name: 'lone',
          title: 'Time of one check',
          ratio: `p50 × ${PEER}`,
          plot: { kind: 'bars', metric: 'p50' },
          rows: against(rows, PEER, 'p50'),
        },
      ],
      goals: [
        {
          text: `a lone caller, p50: ≤ 1.15× a raw one-key ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush'), rowOf(rows, PEER), 'p50'),
          bound: { atMost: 1.15 },
        },
      ],
    }
  },
}
