/** Measures many callers on one key, such as a tenant under attack or a limit on a whole service. */
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field } from '../harness/field.ts'

const IN_FLIGHT = 512
const PEER = 'rate-limiter-flexible'

export const hotKey: Question = {
  name: 'hot-key',
  title: 'One hot key',
  about: '512 checks of one key in flight in one process, none refused.',
  async ask(bench) {
    await using field = await Field.open(
      bench,
      ['onrush', PEER, 'rate-limit-redis', 'redis-gcra', 'GCRA EVALSHA', 'INCR', 'INCR autopipelining'],
      { ports: [bench.redis.port], limit: 30_000_000, period: 60_000 },
      { kind: 'one' },
    )
    const rows = against(await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter }), PEER)
    return {
      settings: { keys: 1, inFlight: IN_FLIGHT },
      sections: [{ name: 'hot', title: 'One key', ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows }],
      goals: [
        {
          text: `one hot key: ≥ 20× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush'), rowOf(rows, PEER), 'rate'),
          bound: { atLeast: 20 },
        },
      ],
    }
  },
}
