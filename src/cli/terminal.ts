/** Where the command line writes, and how it writes tables, numbers and times. */
import type { Readable, Writable } from 'node:stream'
import Table from 'cli-table3'
import picocolors from 'picocolors'
import prettyMilliseconds from 'pretty-ms'
import { printable } from './printable.ts'

/** The streams and variables of a process, so that tests can run a command within their own. */
export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether texts may be coloured. */
  readonly colors: boolean
}

/** Characters above ASCII that terminals obey, or that change how the text round them is shown. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu

export type Colors = ReturnType<typeof picocolors.createColors>

export function colorsOf({ colors }: Terminal): Colors {
  return picocolors.createColors(colors)
}

/** A cell of a table: a text, or one that is painted, such as a verdict in red. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string }

/** A table without lines, whose first row is its head. Control characters of cells are escaped. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[], colors: Colors): string {
  const none = Object.fromEntries(
    [
      ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
      ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
    ].map((place) => [place, '']),
  )
  const shown = new Table({
    head: head.map((text) => colors.bold(text)),
    chars: { ...none, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  for (const row of rows) shown.push(row.map(cellText))
  return shown.toString().replace(/ +$/gm, '')
}

function cellText(cell: Cell): string {
  return typeof cell === 'string' ? printable(cell) : cell.paint(printable(cell.text))
}

export function whole(number: number): string {
  return number.toLocaleString('en-US')
}

/** A number and its noun: `1 key`, `2,000 keys`. */
export function counted(number: number, noun: string): string {
  return `${whole(number)} ${noun}${number === 1 ? '' : 's'}`
}

/** A share as a percentage of three digits: 0.00123 is `0.123 %`. */
export function percent(share: number): string {
  if (share === 0) return '0 %'
  const percentage = share * 100
  return `${percentage < 0.001 ? '< 0.001' : Number(percentage.toPrecision(3))} %`
}

export function duration(milliseconds: number): string {
  return milliseconds === Number.POSITIVE_INFINITY ? 'never' : prettyMilliseconds(milliseconds, { unitCount: 2 })
}

/** JSON for output. Control characters above ASCII are escaped too, because a terminal obeys them. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(UNSAFE, (characters) =>
    Array.from(
      { length: characters.length },
      (_, index) => `\\u${characters.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
