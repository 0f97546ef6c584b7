/** Measures keys with nothing left. Refused callers keep asking, so each refusal should be cheap. */
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field } from '../harness/field.ts'

const KEYS = 10_000
const IN_FLIGHT = 512
const PEER = 'rate-limiter-flexible inMemoryBlock'

export const refusedKeys: Question = {
  name: 'refused-keys',
  title: 'Refused keys',
  about:
    '10,000 keys that have nothing left, 512 checks in flight in one process, all refused; with and without a memory of who is refused (denyCache, inMemoryBlockOnConsumed).',
  async ask(bench) {
    await using field = await Field.open(
      bench,
      ['onrush denyCache', 'onrush', PEER, 'rate-limiter-flexible', 'GCRA EVALSHA', 'nothing'],
      { ports: [bench.redis.port], limit: 1, period: 3_600_000 },
      { kind: 'uniform', count: KEYS },
    )
    for (const entrant of field.entrants) {
      await entrant.drive({ keys: { kind: 'fresh', times: 2 }, inFlight: IN_FLIGHT, count: KEYS * 2 })
    }
    const rows = against(await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter }), PEER)
    return {
      settings: { keys: KEYS, inFlight: IN_FLIGHT },
      sections: [
        { name: 'refused', title: 'All refused', ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows },
      ],
      goals: [
        {
          text: `refused keys, denyCache: ≥ 3× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush denyCache'), rowOf(rows, PEER), 'rate'),
          bound: { atLeast: 3 },
        },
      ],
    }
  },
}
