/**
 * Measures how much is admitted beyond the limit, and how fast. Four processes check one key: one check first, which opens a window if the
 * limiter has windows; then all at once, from late in that window through several more.
 */
import { CONTESTANTS, type ContestantName } from '../contestants.ts'
import type { Row } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { Crew } from '../harness/crew.ts'
import type { Measurement } from '../harness/metrics.ts'
import type { Admission } from '../harness/tasks.ts'

const LIMIT = 100
const PERIOD = 1000
const PROCESSES = 4
const IN_FLIGHT = 16
const FIRST = 0.05
const PAUSE = 0.75
const NAMES: readonly ContestantName[] = [
  ...([
    'onrush',
    'onrush moving window',
    'onrush sliding window counter',
    'onrush periodic',
    'onrush fixed window',
  ] as const),
  ...(['rate-limiter-flexible', 'rate-limit-redis', 'redis-gcra'] as const),
]
const QUICK_NAMES: readonly ContestantName[] = ['onrush', 'rate-limiter-flexible']

export const accuracy: Question = {
  name: 'accuracy',
  isLong: true,
  title: 'Accuracy',
  about: '4 processes check one key as fast as they can, with a limit of 100 units a second.',
  remarks: [
    'most in a period: the most admissions that certainly fell within one period, because they were requested and answered within it.',
    'units lost: the units of 3 remaining that a refused request for 5 spends.',
  ],
  async ask(bench) {
    const names = bench.quick ? QUICK_NAMES : NAMES
    bench.progress.expect(names.length)
    const periods = bench.quick ? 1.5 : 3.5
    await using crew = await Crew.start(PROCESSES)
    const rows: Row[] = []
    for (const name of names) {
      rows.push(await measure(bench, crew, name, periods))
      bench.progress.step(name)
    }
    return {
      settings: { limit: LIMIT, periodSeconds: PERIOD / 1000, processes: PROCESSES, inFlight: IN_FLIGHT, periods },
      sections: [{ name: 'accuracy', title: 'At saturation', plot: { kind: 'bars', metric: 'mostInAPeriod' }, rows }],
    }
  },
}

async function measure(bench: Bench, crew: Crew, name: ContestantName, periods: number): Promise<Row> {
  await bench.meter.flush()
  const recruit = { contestant: name, setting: { ports: [bench.redis.port], limit: LIMIT, period: PERIOD } }
  await crew.open(recruit)
  // Soon after a whole second, because windows aligned to the clock begin there too.
  const start = (Math.ceil((Date.now() + 100) / PERIOD) + FIRST) * PERIOD
  const { result, cost } = await bench.meter.measure(() =>
    crew.perform<'saturate'>(PROCESSES, (place) => ({
      ...{ name: 'saturate', recruit, key: 'hot', start, first: place === 0, inFlight: IN_FLIGHT },
      ...{ pause: PAUSE * PERIOD, duration: periods * PERIOD },
    })),
  )
  const admissions = result.flatMap((answer) => answer.admissions)
  const decisions = result.reduce((sum, answer) => sum + answer.decisions, 0)
  const lost = await unitsLost(bench, name)
  const measurement: Measurement = {
    rate: decisions / periods / (PERIOD / 1000),
    mostInAPeriod: mostWithin(admissions, PERIOD) / LIMIT,
    admitted: admissions.length,
    callsPerAdmission: cost.calls / admissions.length,
    ...(lost === undefined ? {} : { unitsLost: lost }),
  }
  const samples = Object.fromEntries(Object.entries(measurement).map(([metric, value]) => [metric, [value]]))
  return { contestant: name, samples }
}

/** The most admissions that certainly lie within one span of this length. */
function mostWithin(admissions: readonly Admission[], length: number): number {
  const counts = admissions.map(({ asked: start }) => {
    return admissions.filter(({ asked, answered }) => asked >= start && answered < start + length).length
  })
  return Math.max(0, ...counts)
}

/** The units lost by a refused larger check. `undefined`: the library has no quantities. */
async function unitsLost(bench: Bench, name: ContestantName): Promise<number | undefined> {
  const setting = { ports: [bench.redis.port], limit: LIMIT, period: 3_600_000 }
  await using contestant = await CONTESTANTS[name](setting)
  const left = 3
  if ((await contestant.admits('refused', LIMIT - left)) === undefined) return undefined
  await contestant.admits('refused', 5)
  let admitted = 0
  while (admitted < left && (await contestant.admits('refused'))) admitted++
  return left - admitted
}
