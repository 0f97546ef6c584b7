/** The formats of logs, and which one a log has. */
import type { Readable } from 'node:stream'
import { Readable as ReadableStream } from 'node:stream'
import { type Parser, parse as parseCsv } from 'csv-parse'
import { UsageError } from '../exit-codes.ts'
import { readAccessLog } from './access-log.ts'
import { bytesOf, type LogSource, linesOf, withFirst } from './lines.ts'
import type { LineReader, LogEntry } from './log-entry.ts'
import { FieldsEntry, isRecord, readJsonLine, readLogfmt } from './structured-log.ts'

/** The formats by name. CSV has no reader of lines, because a quoted value may hold a line break. */
const FORMATS = new Map<string, LineReader | undefined>([
  ['json', readJsonLine],
  ['access', readAccessLog],
  ['logfmt', readLogfmt],
  ['csv', undefined],
])

export const FORMAT_NAMES: readonly string[] = [...FORMATS.keys()]

/** Lines of a log that could not be read. */
export class UnreadableLines {
  count = 0
  /** The first ones. */
  readonly examples: { readonly source: string; readonly line: number; readonly text: string }[] = []

  add(source: string, line: number, text: string): void {
    this.count++
    if (this.examples.length < 3) this.examples.push({ source, line, text: text.slice(0, 200) })
  }
}

export interface ReadOptions {
  /** The name of a format. `undefined`: the first line tells. */
  readonly format: string | undefined
  readonly stdin: Readable
  readonly unreadable: UnreadableLines
  readonly progress: (bytes: number) => void
}

/** A line as it was read: where it stands, its text for reports, and its fields. */
export interface ReadLine {
  readonly line: number
  readonly text: string
  readonly entry: LogEntry
}

/**
 * The entries of a log, many at once.
 * @throws UsageError if the first line is of no known format, or the log cannot be read
 */
export async function* entriesOf(source: LogSource, options: ReadOptions): AsyncGenerator<ReadLine[]> {
  const { stdin, unreadable, progress } = options
  const chunks = bytesOf(source, stdin, progress)
  const { first, all } = await withFirst(chunks)
  const firstLine = (first ?? Buffer.alloc(0))
    .toString('utf8')
    .split('\n', 50)
    .find((line) => line.trim() !== '')
  if (firstLine === undefined) return
  const format = options.format ?? formatOf(firstLine)
  if (format === undefined) {
    const shown = JSON.stringify(firstLine.slice(0, 120))
    throw new UsageError(
      `${source.name} is no log that can be read: its first line is neither of the Common or Combined format, nor JSON, logfmt or the header of a CSV: ${shown}`,
    )
  }
  const read = FORMATS.get(format)
  if (read === undefined) yield* csvEntries(source.name, all, unreadable)
  else yield* lineEntries(source.name, all, read, unreadable)
}

/** The format of a log by its first line. A header of a CSV is recognized by commas between names. */
function formatOf(line: string): string | undefined {
  for (const [name, read] of FORMATS) if (read?.(line.trimEnd()) !== undefined) return name
  return /^"?[\w@.:-]+"?(?:,"?[\w@.: -]+"?)+\s*$/.test(line) ? 'csv' : undefined
}

async function* lineEntries(
  name: string,
  chunks: AsyncIterable<Buffer>,
  read: LineReader,
  unreadable: UnreadableLines,
): AsyncGenerator<ReadLine[]> {
  let line = 0
  for await (const lines of linesOf(chunks)) {
    const entries: ReadLine[] = []
    for (const raw of lines) {
      line++
      const text = raw.endsWith('\r') ? raw.slice(0, -1) : raw
      const entry = read(text)
      if (entry !== undefined) entries.push({ line, text, entry })
      else if (text.trim() !== '') unreadable.add(name, line, text)
    }
    yield entries
  }
}

/** How many records of a CSV are handed on at once. */
const RECORDS = 1000

async function* csvEntries(
  name: string,
  chunks: AsyncIterable<Buffer>,
  unreadable: UnreadableLines,
): AsyncGenerator<ReadLine[]> {
  const parser: Parser = parseCsv({
    bom: true,
    columns: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    trim: true,
    on_skip: (error, raw) => {
      unreadable.add(name, parser.info.lines, raw ?? error?.message ?? '')
      return undefined
    },
  })
  const records = ReadableStream.from(chunks).pipe(parser)
  let entries: ReadLine[] = []
  for await (const record of records) {
    if (!isRecord(record)) continue
    const line = parser.info.lines
    entries.push({ line, text: '', entry: new FieldsEntry(record) })
    if (entries.length < RECORDS) continue
    yield entries
    entries = []
  }
  yield entries
}
