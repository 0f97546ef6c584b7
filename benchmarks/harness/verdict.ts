/** Judges which goals are met, and if the machine was quiet enough to tell. */
import type { Goal, Row, Section } from './answer.ts'
import { type Figure, figure, spread } from './figures.ts'

export type Verdict = 'met' | 'not met' | 'too noisy to tell'

export interface JudgedGoal extends Goal, Figure {
  readonly verdict: Verdict
}

export interface Noise {
  readonly noisy: boolean
  /** Each a sentence. */
  readonly signs: readonly string[]
}

/** The largest interquartile range, as a share of the median, of a quiet machine. */
const MOST_SPREAD = 0.2

/** The largest share of the processor that other processes may use on a quiet machine. */
const MOST_FOR_OTHERS = 0.1

/** @param othersShare the share that other processes used before the question */
export function judgeNoise(sections: readonly Section[], othersShare: number): Noise {
  const signs = sections.flatMap(({ title, rows }) => {
    const restless = rows.filter(({ samples }) => spread(samples.rate ?? []) > MOST_SPREAD).map(restlessness)
    return restless.length === 0
      ? []
      : [`${title}: half of the rounds lay further apart than that with ${restless.join(', ')}.`]
  })
  if (signs.length > 0) signs.unshift(`A calm contestant's rounds lie within ${percent(MOST_SPREAD)} of their median.`)
  if (othersShare > MOST_FOR_OTHERS) {
    signs.unshift(`Other processes took ${percent(othersShare)} of the processor before the question was asked.`)
  }
  return { noisy: signs.length > 0, signs }
}

function restlessness({ contestant, at, samples }: Row): string {
  return `${contestant}${at === undefined ? '' : ` at ${at}`} (${percent(spread(samples.rate ?? []))})`
}

/** If rounds are on both sides of the bound, the median decides, unless there was noise. */
export function judgeGoal(goal: Goal, { noisy }: Noise): JudgedGoal {
  const { median, low, high } = figure(goal.samples)
  const holds = (value: number): boolean =>
    'atLeast' in goal.bound ? value >= goal.bound.atLeast : value <= goal.bound.atMost
  const divided = holds(low) !== holds(high)
  const verdict = divided && noisy ? 'too noisy to tell' : holds(median) ? 'met' : 'not met'
  return { ...goal, median, low, high, verdict }
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`
}
