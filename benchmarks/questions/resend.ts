/** Measures the cost of `resend`, which writes one record per call, by the number of checks in a call. */
import type { Row } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'

const KEYS = 10_000
/** Numbers of callers. All are answered together and check again together, so they share one call. */
const CHECKS = [1, 8, 128]
const PEER = 'onrush'

export const resend: Question = {
  name: 'resend',
  title: 'Resend',
  about: 'With and without `resend`, by how many checks there are in a call; one call after another.',
  async ask(full) {
    const bench = { ...full, roundTime: full.roundTime / 2, warmUpTime: full.warmUpTime / 2 }
    await using field = await Field.open(
      bench,
      [PEER, 'onrush resend'],
      { ports: [bench.redis.port], ...ROOMY },
      { kind: 'uniform', count: KEYS },
    )
    const rows: Row[] = []
    for (const checks of CHECKS) {
      const entrants = field.entrants.map((entrant) => entrant.varied(checks))
      rows.push(...(await compare(bench, entrants, { inFlight: checks, sampling: checks, meter: bench.meter })))
    }
    return {
      settings: { keys: KEYS },
      sections: [
        {
          name: 'checks',
          title: 'By the checks in a call',
          varied: 'checks',
          ratio: `× ${PEER}`,
          rows: against(rows, PEER),
        },
      ],
    }
  },
}
