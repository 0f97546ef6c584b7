/**
 * Recorded sequences for each algorithm, as the exact models answer them. `npx tsx test/support/vectors/vectors.ts` writes the files
 * anew; an implementation in another language can be held to them too.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import type { Quota } from 'onrush'
import { type Command, command, instant, quantity, quotas, sequence, starts } from '../exact/arbitraries.ts'
import { ExactGcra } from '../exact/gcra.ts'
import { check } from '../exact/layers.ts'
import type { ExactModel, ExactResult } from '../exact/model.ts'
import { ExactMovingWindow } from '../exact/moving-window.ts'
import { ExactSlidingWindowCounter } from '../exact/sliding-window-counter.ts'
import { ExactFixedWindow, ExactPeriodic } from '../exact/window.ts'

/** Times in µs; `retryAfter` null: never. `quota` is the place of the one that binds. */
export type Step = readonly [
  at: number,
  quantity: number,
  limited: boolean,
  remaining: number,
  resetAfter: number,
  nextAfter: number,
  retryAfter: number | null,
  quota: number,
]

export interface Vector {
  /** As `Quota.parse` reads them; several are decided all or nothing. */
  readonly quotas: readonly string[]
  readonly steps: readonly Step[]
}

const MODELS: Readonly<Record<string, new (quota: Quota) => ExactModel>> = {
  gcra: ExactGcra,
  periodic: ExactPeriodic,
  fixed: ExactFixedWindow,
  moving: ExactMovingWindow,
  sliding: ExactSlidingWindowCounter,
}

export const ALGORITHMS = Object.keys(MODELS)

const SEED = 5
const SEQUENCES = 24

export function fileOf(algorithm: string): string {
  return fileURLToPath(new URL(`../../vectors/${algorithm}.json`, import.meta.url))
}

/** The answers of the exact model. The same on each call. */
export function makeVectors(algorithm: string): Vector[] {
  const Model = MODELS[algorithm] ?? ExactGcra
  const several = fc.uniqueArray(quotas(), { minLength: 1, maxLength: 2, selector: (quota) => quota.stateName })
  // Time goes forwards: what a store has forgotten, as it may, cannot be stepped back into.
  const sequences = fc.tuple(starts, several, sequence(command({ back: false })))
  return fc.sample(sequences, { seed: SEED, numRuns: SEQUENCES }).map(([start, chosen, commands]) => {
    const models = chosen.map((quota) => new Model(quota))
    return { quotas: chosen.map(String), steps: stepsOf(models, start, commands) }
  })
}

function stepsOf(models: readonly ExactModel[], start: bigint, commands: readonly Command[]): Step[] {
  let now = start
  let last: ExactResult | undefined
  return commands.map(({ step, amount }): Step => {
    now = instant(step, now, models, last)
    const asked = quantity(amount, now, models)
    last = check(now, models, asked)
    const { limited, remaining, resetAfter, nextAfter, retryAfter, quota } = last
    return [
      Number(now),
      Number(asked),
      limited,
      Number(remaining),
      Number(resetAfter),
      Number(nextAfter),
      retryAfter === 'never' ? null : Number(retryAfter),
      models.findIndex((model) => model.quota === quota),
    ]
  })
}

/** A step a line. */
function textOf(vectors: readonly Vector[]): string {
  const texts = vectors.map(({ quotas: own, steps }) => {
    const lines = steps.map((step) => `        ${JSON.stringify(step)}`).join(',\n')
    return `    {\n      "quotas": ${JSON.stringify(own)},\n      "steps": [\n${lines}\n      ]\n    }`
  })
  const columns = ['at', 'quantity', 'limited', 'remaining', 'resetAfter', 'nextAfter', 'retryAfter', 'quota']
  return `{\n  "columns": ${JSON.stringify(columns)},\n  "vectors": [\n${texts.join(',\n')}\n  ]\n}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const algorithm of ALGORITHMS) writeFileSync(fileOf(algorithm), textOf(makeVectors(algorithm)))
}
