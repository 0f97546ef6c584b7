/** Measures the memory that a process still holds after checks of very many keys. */
import type { ContestantName } from '../contestants.ts'
import type { Row } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { Crew } from '../harness/crew.ts'

const IN_FLIGHT = 512
/** The longest time for which a contestant checks keys, in ms. */
const MOST_TIME = 8000
const QUICK_MOST_TIME = 500
const NAMES: readonly ContestantName[] = [
  ...(['onrush', 'onrush denyCache', 'onrush checkSync', 'onrush checkSync, TlruCacheStore'] as const),
  ...(['rate-limiter-flexible', 'rate-limiter-flexible inMemoryBlock', 'RateLimiterMemory'] as const),
]

export const processMemory: Question = {
  name: 'process-memory',
  isLong: true,
  title: 'Memory of the process',
  about:
    'Up to 1,000,000 keys, each admitted once and refused once; what is then left in a process that does nothing else.',
  remarks: [
    `A contestant that has not checked all keys after ${MOST_TIME / 1000} s (${QUICK_MOST_TIME / 1000} s in a quick run) is measured with the keys that it has.`,
  ],
  async ask(bench) {
    bench.progress.expect(NAMES.length)
    const keys = bench.quick ? 20_000 : 1_000_000
    const rows: Row[] = []
    for (const name of NAMES) {
      rows.push(await measure(bench, name, keys))
      bench.progress.step(name)
    }
    const duration = mostTime(bench)
    return {
      settings: { keys, inFlight: IN_FLIGHT, mostSeconds: duration / 1000 },
      sections: [{ name: 'memory', title: 'Garbage collected', plot: { kind: 'bars', metric: 'heap' }, rows }],
    }
  },
}

async function measure(bench: Bench, name: ContestantName, keys: number): Promise<Row> {
  await bench.meter.flush()
  await using crew = await Crew.start(1)
  const recruit = { contestant: name, setting: { ports: [bench.redis.port], limit: 1, period: 3_600_000 } }
  await crew.open(recruit)
  const [answer] = await crew.perform<'fill'>(1, () => {
    return { name: 'fill', recruit, keys, inFlight: IN_FLIGHT, duration: mostTime(bench) }
  })
  if (answer === undefined) throw new Error('The process gave no answer')
  return {
    contestant: name,
    samples: {
      keys: [answer.keys],
      heapPerKey: [answer.heap / answer.keys],
      heap: [answer.heap / 1e6],
      residentSet: [answer.residentSet / 1e6],
    },
  }
}

function mostTime({ quick }: Bench): number {
  return quick ? QUICK_MOST_TIME : MOST_TIME
}
