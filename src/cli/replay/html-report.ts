/** The report of a replay as one HTML file that needs no network: tables, and plots inline as SVG. */
import { escapeUTF8 } from 'entities'
import { parse, View } from 'vega'
import { compile, type TopLevelSpec } from 'vega-lite'
import { printable } from '../printable.ts'
import { counted, duration, percent, whole } from '../terminal.ts'
import type { FoundLimit, Replay } from './replay.ts'
import { hitRow } from './text-report.ts'

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1d252c; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #e3e7ea }
td + td, th + th { text-align: right } td:last-child, th:last-child { padding-right: 0 } .layer td:first-child { padding-left: 1.5rem; color: #5b6770 }
svg { max-width: 100%; height: auto } .note { color: #5b6770 }`

const FRAME = { width: 620, background: 'white', config: { font: 'system-ui, sans-serif' } } as const

export async function htmlReport(replay: Replay): Promise<string> {
  const { logs, key, simulation } = replay
  const title = `Rate limits for ${logs.join(', ')}`
  const parts = [summary(replay), ...(await candidates(replay)), ...hardestHit(replay), ...(await smallest(replay))]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeUTF8(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeUTF8(title)}</h1>
<p>${counted(simulation.requests, 'request')} of ${counted(simulation.keys, 'key')} (${escapeUTF8(key)}).</p>
${parts.join('\n')}
</body>
</html>
`
}

function summary({ simulation, lines, unreadable }: Replay): string {
  const { from, to, busiestSecond, busiestMinute, reordered, late } = simulation
  return tableOf(
    ['Traffic', ''],
    [
      ['First request', from?.toISOString() ?? '-'],
      ['Last request', to?.toISOString() ?? '-'],
      ['Busiest second', `${whole(busiestSecond?.requests ?? 0)} at ${busiestSecond?.at.toISOString() ?? '-'}`],
      ['Busiest minute', `${whole(busiestMinute?.requests ?? 0)} at ${busiestMinute?.at.toISOString() ?? '-'}`],
      ['Lines excluded by a condition', whole(lines.excluded)],
      ['Lines without a key', whole(lines.withoutKey)],
      ['Lines that cannot be read', whole(unreadable.count)],
      ['Requests put in order', whole(reordered)],
      ['Requests too late to be put in order', whole(late)],
    ],
  )
}

async function candidates({ candidates: names, simulation }: Replay): Promise<string[]> {
  if (names.length === 0) return []
  const rows = simulation.throttles.flatMap((one, index) => [
    [
      names[index] ?? '',
      `${whole(one.refused)} (${percent(one.refusedShare)})`,
      `${whole(one.keysRefused)} (${percent(one.keysRefusedShare)})`,
      one.refusedFor === undefined ? '-' : duration(one.refusedFor.median),
      one.refusedFor === undefined ? '-' : duration(one.refusedFor.longest),
    ],
    ...(one.layers.length > 1
      ? one.layers.map(({ quota, refused }) => [`\u00a0\u00a0by ${quota}`, whole(refused), '', '', ''])
      : []),
  ])
  const values = simulation.throttles.flatMap((one, index) => [
    { candidate: names[index] ?? '', of: 'requests refused', share: one.refusedShare * 100 },
    { candidate: names[index] ?? '', of: 'keys touched', share: one.keysRefusedShare * 100 },
  ])
  return [
    '<h2>Candidates</h2>',
    tableOf(['Candidate', 'Requests refused', 'Keys touched', 'A key refused for (median)', '(longest)'], rows),
    await plot({
      ...FRAME,
      data: { values },
      mark: 'bar',
      encoding: {
        y: { field: 'candidate', type: 'nominal', sort: null, title: null, axis: { labelLimit: 320 } },
        yOffset: { field: 'of' },
        x: { field: 'share', type: 'quantitative', title: '%' },
        color: {
          field: 'of',
          type: 'nominal',
          title: null,
          scale: { domain: ['requests refused', 'keys touched'], range: ['#9fb0be', '#c8402f'] },
        },
      },
    }),
  ]
}

function hardestHit({ candidates: names, simulation }: Replay): string[] {
  return simulation.throttles.flatMap(({ hardestHit }, index) => {
    if (hardestHit.length === 0) return []
    const heading = `<h2>Hardest hit by ${escapeUTF8(names[index] ?? '')}</h2>`
    return [heading, tableOf(['Key', 'Requests', 'Refused', 'Refused for'], hardestHit.map(hitRow))]
  })
}

async function smallest({ smallest: found, touching }: Replay): Promise<string[]> {
  if (found.length === 0) return []
  const rows = found.map(({ period, algorithm, quota, curve }) => {
    const at = curve.find((tried) => tried.quota.equals(quota))
    return [
      `${period}, ${algorithm}`,
      String(quota),
      percent(at?.keysRefusedShare ?? 0),
      percent(at?.refusedShare ?? 0),
    ]
  })
  const few = touching === 0 ? 'no key' : `fewer than ${percent(touching)} of keys`
  return [
    `<h2>Smallest limits that touch ${few}</h2>`,
    tableOf(['Period', 'Limit', 'Keys touched', 'Requests refused'], rows),
    ...(await Promise.all(found.map(curve))),
  ]
}

/** Limit against refused share. A share of 0 has no place on a scale of logarithms, so the scale is that of square roots. */
async function curve({ period, algorithm, curve: tried, quota }: FoundLimit): Promise<string> {
  const values = tried.flatMap(({ quota: { limit }, refusedShare, keysRefusedShare }) => [
    { limit, of: 'requests refused', share: refusedShare * 100 },
    { limit, of: 'keys touched', share: keysRefusedShare * 100 },
  ])
  return plot({
    ...FRAME,
    height: 240,
    title: `Limit a ${period} by ${algorithm}: the smallest is ${quota}`,
    data: { values },
    layer: [
      {
        mark: { type: 'line', point: true },
        encoding: {
          x: { field: 'limit', type: 'quantitative', scale: { type: 'log' }, title: 'limit' },
          y: { field: 'share', type: 'quantitative', scale: { type: 'sqrt' }, title: '%' },
          color: {
            field: 'of',
            type: 'nominal',
            title: null,
            scale: { domain: ['requests refused', 'keys touched'], range: ['#9fb0be', '#c8402f'] },
          },
        },
      },
      {
        mark: { type: 'rule', strokeDash: [4, 4] },
        encoding: { x: { datum: quota.limit, type: 'quantitative' } },
      },
    ],
  })
}

async function plot(spec: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' })
  return view.toSVG().finally(() => view.finalize())
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[], tag: string): string =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeUTF8(printable(cell))}</${tag}>`).join('')}</tr>`
  return `<table>\n${row(head, 'th')}\n${rows.map((cells) => row(cells, 'td')).join('\n')}\n</table>`
}
