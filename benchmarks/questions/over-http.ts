/** Measures Redis over HTTP, as functions at the edge ask it. */
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'

const KEYS = 10_000
const IN_FLIGHT = 64
const US = 'onrush on @upstash/redis'
const PEER = '@upstash/ratelimit'

export const overHttp: Question = {
  name: 'over-http',
  isLong: true,
  title: 'Redis over HTTP',
  about:
    '10,000 keys by sliding window counters, 64 checks in flight in one process, none refused. Both ask by @upstash/redis; a small server beside Redis speaks the REST form of Upstash.',
  async ask(bench) {
    await bench.meter.flush()
    const setting = { ports: [bench.redis.port], ...ROOMY }
    await using field = await Field.open(bench, [US, PEER], setting, { kind: 'uniform', count: KEYS })
    const rows = against(await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter }), PEER)
    return {
      settings: { keys: KEYS, inFlight: IN_FLIGHT },
      sections: [{ name: 'http', title: 'By HTTP', ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows }],
      goals: [
        {
          text: `over HTTP: ≥ 5× ${PEER}`,
          samples: ratio(rowOf(rows, US), rowOf(rows, PEER), 'rate'),
          bound: { atLeast: 5 },
        },
      ],
    }
  },
}
