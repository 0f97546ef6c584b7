/** The formats of logs, and which one a log has. */
import type { Readable } from 'node:stream'
import { UsageError } from '../exit-codes.ts'
import { readAccessLog } from './access-log.ts'
import { CsvReader } from './csv-log.ts'
import { readJsonLine } from './json-log.ts'
import { type LogSource, linesOf, textOf } from './lines.ts'
import type { LineReader, UnreadableLines, Visit } from './log-entry.ts'
import { readLogfmt } from './logfmt.ts'

/** The formats by name. CSV has no reader of lines, because a quoted value may hold a line break. */
const FORMATS = new Map<string, LineReader | undefined>([
  ['json', readJsonLine],
  ['access', readAccessLog],
  ['logfmt', readLogfmt],
  ['csv', undefined],
])

export const FORMAT_NAMES: readonly string[] = [...FORMATS.keys()]

export interface ReadOptions {
  /** The name of a format. `undefined`: the first line tells. */
  readonly format: string | undefined
  readonly stdin: Readable
  readonly unreadable: UnreadableLines
  readonly progress: (bytes: number) => void
}

/** Reads one line of a log after the other. */
interface LogReader {
  read(line: string, visit: Visit): void
  /** Counts a line that is too long to be one of a log. */
  skip(start: string, visit: Visit): void
  end(visit: Visit): void
}

/**
 * Calls `visit` with each entry of a log, and yields whenever a chunk of it has been read.
 * @throws UsageError if the first line is of no known format, or the log cannot be read
 */
export async function* readLog(source: LogSource, options: ReadOptions, visit: Visit): AsyncGenerator<void> {
  const { stdin, unreadable, progress } = options
  const { start, all } = await textOf(source, stdin, progress)
  const firstLine = start.toString('utf8').trimStart().split('\n', 1)[0]?.trimEnd() ?? ''
  if (firstLine === '') return
  const reader = readerOf(source.name, options.format ?? formatOf(source.name, firstLine), unreadable)
  for await (const { tooLong, lines } of linesOf(all)) {
    if (tooLong !== undefined) reader.skip(tooLong, visit)
    for (const line of lines) reader.read(line.endsWith('\r') ? line.slice(0, -1) : line, visit)
    yield
  }
  reader.end(visit)
  yield
}

function readerOf(source: string, format: string, unreadable: UnreadableLines): LogReader {
  const read = FORMATS.get(format)
  return read === undefined ? new CsvReader(source, unreadable) : new ReaderOfLines(source, read, unreadable)
}

class ReaderOfLines implements LogReader {
  readonly #source: string
  readonly #read: LineReader
  readonly #unreadable: UnreadableLines
  #line = 0

  constructor(source: string, read: LineReader, unreadable: UnreadableLines) {
    this.#source = source
    this.#read = read
    this.#unreadable = unreadable
  }

  read(text: string, visit: Visit): void {
    this.#line++
    const entry = this.#read(text)
    if (entry !== undefined) visit(entry, this.#line, text)
    else if (text.trim() !== '') this.#unreadable.add(this.#source, this.#line, text)
  }

  skip(start: string): void {
    this.#line++
    this.#unreadable.add(this.#source, this.#line, start)
  }

  end(): void {}
}

/**
 * The format of a log by its first line. A header of a CSV is recognized by commas between names.
 * @throws UsageError for a line of no known format
 */
function formatOf(source: string, line: string): string {
  for (const [name, read] of FORMATS) if (read?.(line) !== undefined) return name
  if (/^"?[\w@.:-]+"?(?:,"?[\w@.: -]+"?)+\s*$/.test(line)) return 'csv'
  throw new UsageError(
    `${source} is no log that can be read: its first line is neither of the Common or Combined format, nor JSON, logfmt or the header of a CSV: ${JSON.stringify(line.slice(0, 120))}`,
  )
}
