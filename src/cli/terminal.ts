/** Where the command line writes, and how it writes tables, numbers and times. */
import type { Readable, Writable } from 'node:stream'
import Table from 'cli-table3'
import picocolors from 'picocolors'
import prettyMilliseconds from 'pretty-ms'

/** The streams and variables of a process, so that tests can run a command within their own. */
export interface Terminal {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Whether texts may be coloured. */
  readonly colors: boolean
}

export type Colors = ReturnType<typeof picocolors.createColors>

export function colorsOf({ colors }: Terminal): Colors {
  return picocolors.createColors(colors)
}

/** A table without lines, whose first row is its head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], colors: Colors): string {
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
  for (const row of rows) shown.push([...row])
  return shown.toString().replace(/ +$/gm, '')
}

export function whole(number: number): string {
  return number.toLocaleString('en-US')
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

/** Control characters are shown as codes, because a key of a log could otherwise write to the terminal. */
export function printable(text: string, longest = 60): string {
  const shown = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`
  })
  return shown.length > longest ? `${shown.slice(0, longest - 1)}…` : shown
}
