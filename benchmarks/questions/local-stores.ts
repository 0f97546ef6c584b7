/** Measures in-process stores, where the algorithm and the allocations of a check are the only costs. */
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field } from '../harness/field.ts'

const KEYS = 10_000
const PEER = 'RateLimiterMemory'

export const localStores: Question = {
  name: 'local-stores',
  title: 'In-process stores',
  about: '10,000 keys in the memory of the process, one check after another, none refused.',
  remarks: ['limiter has no keys: each key has a RateLimiter of its own, in a Map.'],
  async ask(bench) {
    await using field = await Field.open(
      bench,
      ['onrush checkSync', 'onrush checkSync, TlruCacheStore', 'onrush check', PEER, 'limiter', 'nothing'],
      { ports: [], limit: 1_000_000, period: 3_600_000 },
      { kind: 'uniform', count: KEYS },
    )
    const rows = against(await compare(bench, field.entrants, { inFlight: 1 }), PEER)
    const peer = rowOf(rows, PEER)
    return {
      settings: { keys: KEYS, inFlight: 1 },
      sections: [
        { name: 'local', title: 'In the process', ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows },
      ],
      goals: [
        {
          text: `local, checkSync GCRA: ≥ 3× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush checkSync'), peer, 'rate'),
          bound: { atLeast: 3 },
        },
        {
          text: `local, async check GCRA: ≥ 1.2× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush check'), peer, 'rate'),
          bound: { atLeast: 1.2 },
        },
      ],
    }
  },
}
