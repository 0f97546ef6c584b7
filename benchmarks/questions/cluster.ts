/** Measures a cluster, where the keys of a batch are on several nodes and each slot needs its own call. */
import { startCluster } from '../../test/support/servers/cluster.ts'
import { rowOf } from '../harness/answer.ts'
import type { Question } from '../harness/bench.ts'
import { against, compare, ratio } from '../harness/compare.ts'
import { Field, ROOMY } from '../harness/field.ts'
import { ServerMeter } from '../harness/server-meter.ts'

const KEYS = 10_000
const IN_FLIGHT = 512
const PEER = 'rate-limiter-flexible'

export const cluster: Question = {
  name: 'cluster',
  isLong: true,
  title: 'A cluster of three masters',
  about:
    '10,000 keys on three masters, 512 checks in flight in one process, none refused. Server times are of all masters.',
  async ask(bench) {
    await using servers = await startCluster({ masters: 3, replicas: 0 })
    const ports = servers.addresses.map(({ port }) => port)
    await using meter = new ServerMeter(ports)
    await using field = await Field.open(
      bench,
      ['onrush', 'onrush acrossSlots', 'onrush shards', PEER, 'redis-gcra', 'INCR'],
      { ports, ...ROOMY },
      { kind: 'uniform', count: KEYS },
    )
    const rows = await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter })
    return {
      settings: { keys: KEYS, inFlight: IN_FLIGHT, masters: 3 },
      sections: [
        {
          name: 'cluster',
          title: 'Each key as likely as any other',
          ratio: `× ${PEER}`,
          plot: { kind: 'bars', metric: 'rate' },
          rows: against(rows, PEER),
        },
      ],
      goals: [
        {
          text: `cluster of three, without shards: ≥ 1.5× ${PEER}`,
          samples: ratio(rowOf(rows, 'onrush'), rowOf(rows, PEER), 'rate'),
          bound: { atLeast: 1.5 },
        },
        {
          text: `cluster of three, with acrossSlots: ≥ 3× ${PEER} without shards`,
          samples: ratio(rowOf(rows, 'onrush acrossSlots'), rowOf(rows, PEER), 'rate'),
          bound: { atLeast: 3 },
        },
      ],
    }
  },
}
