/**
 * Logfmt: pairs such as `level=info path="/a b"`. Read by an expression of our own, because the parser on npm is not maintained, and drops the `=` of an unquoted value.
 * Only fields that are asked for are read.
 */
import type { LogEntry } from './log-entry.ts'

/** A name without a value means true. */
const PAIRS = /([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|(\S*)))?/g

/** A line of logfmt has at least one name with a value. */
const PAIR = /(?:^|\s)[^\s="]+=\S/

const ESCAPES = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

class LogfmtEntry implements LogEntry {
  readonly #line: string

  constructor(line: string) {
    this.#line = line
  }

  field(name: string): string | undefined {
    const line = this.#line
    for (let at = line.indexOf(name); at >= 0; at = line.indexOf(name, at + 1)) {
      if ((at > 0 && !isBlank(line, at - 1)) || isWithinQuotes(line, at)) continue
      const end = at + name.length
      if (line[end] === '=') return valueAt(line, end + 1)
      if (end === line.length || isBlank(line, end)) return 'true'
    }
    return undefined
  }

  names(): readonly string[] {
    return Array.from(this.#line.matchAll(PAIRS), ([, name = '']) => name)
  }
}

export function readLogfmt(line: string): LogEntry | undefined {
  return PAIR.test(line) ? new LogfmtEntry(line) : undefined
}

function isBlank(line: string, at: number): boolean {
  const character = line[at]
  return character === ' ' || character === '\t'
}

/** Whether a place is within a quoted value: quotes stand before it whose last is not closed. */
function isWithinQuotes(line: string, at: number): boolean {
  let isQuoted = false
  for (let quote = line.indexOf('"'); quote >= 0 && quote < at; quote = line.indexOf('"', quote + 1)) {
    if (!(isQuoted && isEscaped(line, quote))) isQuoted = !isQuoted
  }
  return isQuoted
}

function isEscaped(line: string, at: number): boolean {
  let backslashes = 0
  while (line[at - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

/** @returns `undefined` for an empty value, or one whose quote is not closed */
function valueAt(line: string, start: number): string | undefined {
  if (line[start] !== '"') {
    let end = line.indexOf(' ', start)
    if (end < 0) end = line.length
    const tab = line.indexOf('\t', start)
    return line.slice(start, tab >= 0 && tab < end ? tab : end) || undefined
  }
  let end = line.indexOf('"', start + 1)
  while (end >= 0 && isEscaped(line, end)) end = line.indexOf('"', end + 1)
  if (end < 0) return undefined
  const value = line.slice(start + 1, end)
  return (
    (value.includes('\\') ? value.replace(/\\(.)/g, (_, code: string) => ESCAPES.get(code) ?? code) : value) ||
    undefined
  )
}
