/** Measures exact moving windows, whose state grows with the limit elsewhere. */
import { rowOf, type Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against, compare } from '../harness/compare.ts'
import { Field } from '../harness/field.ts'

const IN_FLIGHT = 512
const US = 'onrush moving window'
const PEER = 'sorted set EVALSHA'
const DAYS = 864_000_000
/** No key is used up. */
const ADMITTED = { keys: 10_000, limit: 1000 }
/** All keys are used up before the measurement. */
const REFUSED = { keys: 2000, limit: 10 }

export const movingWindow: Question = {
  name: 'moving-window',
  title: 'Moving windows',
  about: '512 checks in flight in one process. Windows of ten days, so that nothing leaves them.',
  remarks: [
    'rate-limit-redis counts in a fixed window, and never refuses: its middleware compares. A sorted set is how a moving window is mostly written by hand, as one script a check.',
  ],
  async ask(bench) {
    const admitted = await section(bench, 'admitted', 'Admitted: 10,000 keys, limit 1,000', ADMITTED)
    const refused = await section(bench, 'refused', 'Refused: 2,000 keys, limit 10, all used up', REFUSED)
    const rates = ({ rows }: Section): readonly number[] => rowOf(rows, US).samples.rate ?? []
    return {
      settings: { inFlight: IN_FLIGHT },
      sections: [admitted, refused],
      goals: [
        {
          text: 'moving window, limit 1,000: ≥ 180,000 admitted/s',
          samples: rates(admitted),
          bound: { atLeast: 180_000 },
        },
        { text: 'moving window: ≥ 300,000 refused/s', samples: rates(refused), bound: { atLeast: 300_000 } },
      ],
    }
  },
}

async function section(
  bench: Bench,
  name: string,
  title: string,
  { keys, limit }: { readonly keys: number; readonly limit: number },
): Promise<Section> {
  await bench.meter.flush()
  const setting = { ports: [bench.redis.port], limit, period: DAYS }
  await using field = await Field.open(bench, [US, 'rate-limit-redis', PEER], setting, { kind: 'uniform', count: keys })
  const rows = await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter })
  return { name, title, ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows: against(rows, PEER) }
}
