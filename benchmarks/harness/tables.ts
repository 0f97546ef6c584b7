/** Makes a table of texts from a section, for the terminal and for documents. */
import type { Section } from './answer.ts'
import { figure } from './figures.ts'
import { isMetric, METRICS, type Metric, type MetricName } from './metrics.ts'
import type { JudgedGoal } from './verdict.ts'

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

const format = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

/** Columns: contestant, varied setting, ratio, then each metric that any row has. */
export function sectionTable({ rows, varied, ratio }: Section): Table {
  const names = Object.keys(METRICS)
    .filter(isMetric)
    .filter((name) => rows.some((row) => row.samples[name] !== undefined))
  return {
    head: [
      '',
      ...(varied === undefined ? [] : [varied]),
      ...(ratio === undefined ? [] : [ratio]),
      ...names.map((name) => METRICS[name].heading),
    ],
    rows: rows.map((row) => [
      row.contestant,
      ...(varied === undefined ? [] : [row.at === undefined ? '' : format.format(row.at)]),
      ...(ratio === undefined ? [] : [figureText(row.ratios ?? [], true)]),
      ...names.map((name) => figureText(row.samples[name] ?? [], isSpread(name))),
    ]),
  }
}

export function goalTable(goals: readonly JudgedGoal[]): Table {
  return {
    head: ['goal', 'measured', ''],
    rows: goals.map(({ text, samples, verdict }) => [text, figureText(samples, true), verdict]),
  }
}

/** The median, with the quartiles if there are enough rounds and the metric shows them. */
function figureText(samples: readonly number[], withSpread: boolean): string {
  if (samples.length === 0) return '–'
  const { median, low, high } = figure(samples)
  const spreads = withSpread && samples.length > 1 ? ` (${format.format(low)}–${format.format(high)})` : ''
  return `${format.format(median)}${spreads}`
}

function isSpread(name: MetricName): boolean {
  const { withSpread = false }: Metric = METRICS[name]
  return withSpread
}
