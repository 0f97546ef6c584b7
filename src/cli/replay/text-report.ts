/** The report of a replay as text. */
import type { HardestHit } from '../../simulate/index.ts'
import { printable } from '../printable.ts'
import { type Colors, counted, duration, percent, table, whole } from '../terminal.ts'
import type { Replay } from './replay.ts'

export function textReport(replay: Replay, colors: Colors): string {
  return [
    summary(replay),
    ...candidates(replay, colors),
    ...hardestHit(replay, colors),
    ...smallest(replay, colors),
  ].join('\n')
}

function summary({ logs, key, simulation, lines, unreadable }: Replay): string {
  const { requests, keys, from, to, busiestSecond, busiestMinute, reordered, late } = simulation
  const notes = [
    [lines.excluded, 'line', 'excluded by --where'],
    [lines.withoutKey, 'line', 'without a key'],
    [lines.free, 'line', 'of cost 0, or without a cost'],
    [reordered, 'request', 'out of order, put in order'],
    [late, 'request', 'too late to be put in order, played in the order of the log: give a longer --sort-within'],
    [unreadable.count, 'line', 'that cannot be read'],
  ] as const
  return [
    `${counted(requests, 'request')} of ${counted(keys, 'key')} (${printable(key)}) in ${logs.map((name) => printable(name)).join(', ')}`,
    `from ${from?.toISOString() ?? '-'} to ${to?.toISOString() ?? '-'}`,
    `busiest second: ${whole(busiestSecond?.requests ?? 0)} at ${busiestSecond?.at.toISOString() ?? '-'}`,
    `busiest minute: ${whole(busiestMinute?.requests ?? 0)} at ${busiestMinute?.at.toISOString() ?? '-'}`,
    ...notes.filter(([count]) => count > 0).map(([count, noun, what]) => `${counted(count, noun)} ${what}`),
    ...unreadable.examples.map(({ source, line, text }) => `  ${printable(`${source}:${line}: ${text}`, 160)}`),
    '',
  ].join('\n')
}

function candidates({ candidates: names, simulation }: Replay, colors: Colors): string[] {
  if (names.length === 0) return []
  const rows = simulation.throttles.flatMap((one, index) => [
    [
      names[index] ?? '',
      whole(one.refused),
      percent(one.refusedShare),
      whole(one.keysRefused),
      percent(one.keysRefusedShare),
      one.refusedFor === undefined ? '-' : duration(one.refusedFor.median),
      one.refusedFor === undefined ? '-' : duration(one.refusedFor.longest),
    ],
    ...(one.layers.length > 1
      ? one.layers.map(({ quota, refused }) => [`  by ${quota}`, whole(refused), '', '', '', '', ''])
      : []),
  ])
  const head = ['candidate', 'refused', 'of requests', 'keys', 'of keys', 'a key for (median)', '(longest)']
  return [table(head, rows, colors), '']
}

function hardestHit({ candidates: names, simulation }: Replay, colors: Colors): string[] {
  return simulation.throttles.flatMap(({ hardestHit }, index) => {
    if (hardestHit.length === 0) return []
    const rows = hardestHit.map(hitRow)
    return [
      `Hardest hit by ${printable(names[index] ?? '')}`,
      table(['key', 'requests', 'refused', 'refused for'], rows, colors),
      '',
    ]
  })
}

function smallest({ smallest: found, touching }: Replay, colors: Colors): string[] {
  if (found.length === 0) return []
  const rows = found.map(({ period, algorithm, quota, curve }) => {
    const at = curve.find((tried) => tried.quota.equals(quota))
    return [period, algorithm, String(quota), percent(at?.keysRefusedShare ?? 0), percent(at?.refusedShare ?? 0)]
  })
  const title =
    touching === 0
      ? 'Smallest limits that touch no key'
      : `Smallest limits that touch fewer than ${percent(touching)} of keys`
  return [title, table(['period', 'algorithm', 'limit', 'of keys', 'of requests'], rows, colors), '']
}

/** A key whose requests were refused, as both reports show it. */
export function hitRow({ key, requests, refused, refusedFor }: HardestHit): string[] {
  return [key, whole(requests), whole(refused), duration(refusedFor)]
}
