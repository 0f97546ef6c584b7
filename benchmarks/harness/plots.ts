/** Draws sections as plots. */
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import type { ContestantName } from '../contestants.ts'
import type { Plot, Section } from './answer.ts'
import { type Figure, figure } from './figures.ts'
import { METRICS } from './metrics.ts'

/** Not plotted, because the harness alone is so much faster that differences between contestants would vanish. */
const HARNESS: ContestantName = 'nothing'

const FRAME = { width: 480, background: 'white', config: { font: 'sans-serif' } } as const

/** A plot of a section as SVG. */
export async function plotOf(section: Section, { kind, metric }: Plot): Promise<string> {
  const { heading } = METRICS[metric]
  const values = section.rows.flatMap(({ contestant, at, samples }) => {
    const known = samples[metric]
    if (known === undefined || contestant === HARNESS) return []
    return [{ contestant, at, ours: contestant.startsWith('onrush'), ...figure(known) }]
  })
  const spec = kind === 'bars' ? bars(values, heading) : lines(values, heading, section.varied ?? '')
  const view = new View(parse(compile(spec).spec), { renderer: 'none' })
  return view.toSVG().finally(() => view.finalize())
}

interface Value extends Figure {
  readonly contestant: string
  readonly at: number | undefined
  readonly ours: boolean
}

type Values = readonly Value[]

function bars(values: Values, heading: string): TopLevelSpec {
  const y = { field: 'contestant', type: 'nominal', sort: null, title: null, axis: { labelLimit: 320 } } as const
  return {
    ...FRAME,
    height: { step: 24 },
    data: { values: [...values] },
    layer: [
      {
        mark: 'bar',
        encoding: {
          y,
          x: { field: 'median', type: 'quantitative', title: heading },
          color: {
            field: 'ours',
            type: 'nominal',
            legend: null,
            scale: { domain: [true, false], range: ['#c8402f', '#9fb0be'] },
          },
        },
      },
      {
        mark: 'rule',
        encoding: { y, x: { field: 'low', type: 'quantitative' }, x2: { field: 'high' } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 5 },
        encoding: {
          y,
          x: { field: 'high', type: 'quantitative' },
          text: { field: 'median', type: 'quantitative', format: '.3s' },
        },
      },
    ],
  }
}

function lines(values: Values, heading: string, varied: string): TopLevelSpec {
  const places = [...new Set(values.map(({ at = 0 }) => at))]
  const x = {
    field: 'at',
    type: 'quantitative',
    title: varied,
    scale: { type: 'log', nice: false },
    axis: { values: places },
  } as const
  const color = { field: 'contestant', type: 'nominal', title: null, sort: null, legend: { labelLimit: 320 } } as const
  return {
    ...FRAME,
    height: 240,
    data: { values: [...values] },
    layer: [
      {
        mark: { type: 'line', point: true },
        encoding: { x, color, y: { field: 'median', type: 'quantitative', title: heading, scale: { zero: true } } },
      },
      {
        mark: 'rule',
        encoding: { x, color, y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
      },
    ],
  }
}
