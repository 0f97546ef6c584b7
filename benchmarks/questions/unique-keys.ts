/** Measures many callers on many keys, which is the usual load of a service. */

import { rowOf, type Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'
import type { KeyOrder } from '../harness/keys.ts'

const KEYS = 10_000
const IN_FLIGHT = 512
/** A quota large enough for a key with a tenth of all checks. The rarest keys live for five minutes. */
const HOT = { limit: 100_000, period: 31_536_000_000 }
const THREE = 'onrush, three throttles'
const TWO = 'onrush, checkAll of two'
const PEER = 'rate-limiter-flexible'

export const uniqueKeys: Question = {
  name: 'unique-keys',
  title: 'Many keys',
  about: '10,000 keys, 512 checks in flight in one process, none refused.',
  async ask(bench) {
    const uniform = await section(bench, 'uniform', 'Each key as likely as any other', ROOMY, {
      kind: 'uniform',
      count: KEYS,
    })
    const sections = [uniform]
    if (!bench.quick) {
      const title = 'Keys by Zipf: the first is asked for in a tenth of all checks'
      sections.push(await section(bench, 'zipf', title, HOT, { kind: 'zipf', count: KEYS }))
    }
    const mixed = await mixture(bench)
    sections.push(mixed)
    const us = rowOf(uniform.rows, 'onrush')
    const { faster, cheaper } = hasMsetex(bench) ? { faster: 6, cheaper: 0.38 } : { faster: 5, cheaper: 0.5 }
    const peer = rowOf(uniform.rows, PEER)
    return {
      settings: { keys: KEYS, inFlight: IN_FLIGHT },
      sections,
      goals: [
        { text: `unique keys: ≥ ${faster}× ${PEER}`, samples: ratio(us, peer, 'rate'), bound: { atLeast: faster } },
        {
          text: 'unique keys: ≥ 2× raw INCR without autopipelining',
          samples: ratio(us, rowOf(uniform.rows, 'INCR'), 'rate'),
          bound: { atLeast: 2 },
        },
        {
          text: `server time per decision: ≤ ${cheaper}× that of ${PEER}`,
          samples: ratio(us, peer, 'serverTime'),
          bound: { atMost: cheaper },
        },
        {
          text: 'three throttles on one store: ≥ 0.75× the speed of one',
          samples: ratio(rowOf(mixed.rows, THREE), rowOf(mixed.rows, 'onrush'), 'rate'),
          bound: { atLeast: 0.75 },
        },
        {
          text: 'checkAll of two subjects: ≥ 0.325× as many as checks of one',
          samples: ratio(rowOf(mixed.rows, TWO), rowOf(mixed.rows, 'onrush'), 'rate'),
          bound: { atLeast: 0.325 },
        },
      ],
    }
  },
}

/** Valkey 9.1 and later write values of one expiry together. */
function hasMsetex({ versions }: Bench): boolean {
  const [major = 0, minor = 0] = (versions['valkey-server'] ?? '').split('.').map(Number)
  return major > 9 || (major === 9 && minor >= 1)
}

async function section(
  bench: Bench,
  name: string,
  title: string,
  quota: { limit: number; period: number },
  keys: KeyOrder,
): Promise<Section> {
  await bench.meter.flush()
  await using field = await Field.open(
    bench,
    ['onrush', PEER, 'rate-limit-redis', 'redis-gcra', 'GCRA EVALSHA', 'INCR', 'INCR autopipelining', 'nothing'],
    { ports: [bench.redis.port], ...quota },
    keys,
  )
  const rows = await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter })
  return { name, title, ratio: `× ${PEER}`, plot: { kind: 'bars', metric: 'rate' }, rows: against(rows, PEER) }
}

/** A service mostly has two or three throttles on one store, or checks a user and a tenant together. */
async function mixture(bench: Bench): Promise<Section> {
  await bench.meter.flush()
  const setting = { ports: [bench.redis.port], ...ROOMY }
  await using field = await Field.open(bench, ['onrush', THREE, TWO], setting, { kind: 'uniform', count: KEYS })
  const rows = await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter })
  const title = 'Three throttles on one store, each asked in a third of the checks; and two that are asked together'
  return { name: 'throttles', title, ratio: '× one throttle', rows: against(rows, 'onrush') }
}
