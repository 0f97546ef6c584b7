/** Measures how the cost of a decision grows with the number of keys, units in a limit, layers and units in a request. */

import type { OnrushOptions } from '../contestants/onrush.ts'
import type { ContestantName } from '../contestants.ts'
import { type Row, rowOf, type Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { compare, ratio } from '../harness/compare.ts'
import { type Entrant, Field, ROOMY, type Variant } from '../harness/field.ts'

const IN_FLIGHT = 512
const UNION = 'RateLimiterUnion' satisfies ContestantName
/** Numbers of layers, and the most that a check of them may cost, in checks of one layer. */
const LAYER_GOALS = [
  [2, 1.5],
  [4, 2.3],
  [8, 3.6],
] as const

/** One way to set a contestant up. */
interface Kind {
  readonly name: ContestantName
  readonly at: number
  readonly options?: OnrushOptions
  readonly limit: number
  readonly period: number
  /** How many there are. */
  readonly keys: number
}

export const growth: Question = {
  name: 'growth',
  title: 'Growth',
  about:
    'The cost of a decision as one dimension grows, relative to its smallest size. 512 checks in flight in one process.',
  async ask(full) {
    const step = full.quick ? 2 : 1
    const bench = { ...full, roundTime: full.roundTime / 2, warmUpTime: full.warmUpTime / 2 }
    const keys = await section(bench, 'keys', 'keys', sizes(3, bench.quick ? 5 : 6, step).map(keysVariant), true)
    const limits = sizes(1, 6, step).flatMap((limit) => [
      limitVariant('onrush', limit),
      limitVariant('onrush moving window', limit),
    ])
    const union: Kind = { name: UNION, at: 2, ...ROOMY, keys: 1000 }
    const layers = [...[1, 2, 4, 8].map(layersVariant), union]
    const quantities = sizes(0, 6, step).map(quantityVariant)
    const layered = await section(bench, 'layers', 'layers', layers)
    return {
      settings: { inFlight: IN_FLIGHT },
      sections: [
        keys,
        await section(bench, 'limits', 'limit', limits),
        layered,
        await section(bench, 'quantities', 'quantity', quantities),
      ],
      goals: [
        {
          text: `growth 10^3 → ${bench.quick ? '10^5 (10^6 in a full run)' : '10^6'} keys: ≤ 1.5× the cost per decision`,
          samples: keys.rows.at(-1)?.ratios ?? [],
          bound: { atMost: 1.5 },
        },
        ...LAYER_GOALS.map(([count, atMost]) => ({
          text: `${count} layers: ≤ ${atMost}× the cost of one`,
          samples: rowOf(layered.rows, 'onrush', count).ratios ?? [],
          bound: { atMost },
        })),
        {
          text: `2 layers: ≥ 5× ${UNION} of two`,
          samples: ratio(rowOf(layered.rows, 'onrush', 2), rowOf(layered.rows, UNION, 2), 'rate'),
          bound: { atLeast: 5 },
        },
      ],
    }
  },
}

/** Variants by number of keys. A key lives for seven minutes, the time that one unit takes to come back. */
function keysVariant(keys: number): Kind {
  return { name: 'onrush', at: keys, ...ROOMY, limit: 2000, keys }
}

/** Variants by limit. The smaller limits refuse some checks. */
function limitVariant(name: 'onrush' | 'onrush moving window', limit: number): Kind {
  const options: OnrushOptions = name === 'onrush' ? {} : { algorithm: 'moving window' }
  return { name, at: limit, options, limit, period: 10_000, keys: 100 }
}

function layersVariant(layers: number): Kind {
  return { name: 'onrush', at: layers, options: { layers }, ...ROOMY, keys: 1000 }
}

function quantityVariant(quantity: number): Kind {
  return { name: 'onrush', at: quantity, options: { quantity }, ...ROOMY, limit: quantity * ROOMY.limit, keys: 1000 }
}

/** With `filled`, all keys exist before the measurement. */
async function section(
  bench: Bench,
  name: string,
  varied: string,
  kinds: readonly Kind[],
  filled = false,
): Promise<Section> {
  await bench.meter.flush()
  await using field = await Field.of(
    bench,
    kinds.map((kind, database) => variantOf(kind, bench.redis.port, database)),
  )
  if (filled) await fill(bench, field.entrants)
  const rows = await compare(bench, field.entrants, { inFlight: IN_FLIGHT, meter: bench.meter })
  return {
    name,
    title: `More ${name}`,
    varied,
    ratio: 'cost × least',
    plot: { kind: 'lines', metric: 'rate' },
    rows: rows.map((row) => ({ ...row, ratios: ratio(firstOf(rows, row.contestant), row, 'rate') })),
  }
}

function variantOf({ name, at, keys, options, limit, period }: Kind, port: number, database: number): Variant {
  const setting = { ports: [port], database, limit, period }
  return {
    name,
    at,
    recruit: options === undefined ? { contestant: name, setting } : { contestant: name, setting, options },
    keys: { kind: 'uniform', count: keys },
  }
}

async function fill(bench: Bench, entrants: readonly Entrant[]): Promise<void> {
  bench.progress.expect(entrants.length)
  for (const entrant of entrants) {
    await entrant.drive({ keys: { kind: 'fresh', times: 1 }, inFlight: IN_FLIGHT, count: entrant.at ?? 0 })
    bench.progress.step(entrant.name)
  }
}

function firstOf(rows: readonly Row[], contestant: string): Row {
  return rowOf(rows, contestant, rows.find((row) => row.contestant === contestant)?.at)
}

/** Powers of ten, with `step` between exponents. */
function sizes(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => 10 ** (from + index * step))
}
