/**
 * Logs as CSV with a header. Lines without quotes are split at commas; a record with quotes, which may span lines, is read by a parser. A quote that is
 * never closed makes one line unreadable, and not all that follow.
 */
import { parse } from 'csv-parse/sync'
import { UsageError } from '../exit-codes.ts'
import type { LogEntry, UnreadableLines, Visit } from './log-entry.ts'
import { isTimeOrNumber } from './log-time.ts'

/** The most lines of one record. */
const LONGEST_RECORD = 1000

type Columns = ReadonlyMap<string, number>

class CsvEntry implements LogEntry {
  readonly #columns: Columns
  readonly #values: readonly string[]

  constructor(columns: Columns, values: readonly string[]) {
    this.#columns = columns
    this.#values = values
  }

  field(name: string): string | undefined {
    const index = this.#columns.get(name)
    return index === undefined ? undefined : this.#values[index]?.trim() || undefined
  }

  names(): readonly string[] {
    return [...this.#columns.keys()]
  }
}

export class CsvReader {
  readonly #source: string
  readonly #unreadable: UnreadableLines
  #columns: Columns | undefined
  /** The number of the last line that was read. */
  #line = 0
  /** Lines of a record whose last quote is not closed. */
  #open: string[] = []
  #quotes = 0

  constructor(source: string, unreadable: UnreadableLines) {
    this.#source = source
    this.#unreadable = unreadable
  }

  /** @throws UsageError if the first record is no header */
  read(line: string, visit: Visit): void {
    this.#line++
    if (this.#open.length === 0 && !line.includes('"')) {
      if (line.trim() !== '') this.#record(line.split(','), line, this.#line, visit)
      return
    }
    this.#open.push(line)
    this.#quotes += quotesIn(line)
    if (this.#quotes % 2 === 0) this.#close(visit)
    else if (this.#open.length > LONGEST_RECORD) this.#skipFirst(visit)
  }

  skip(start: string, visit: Visit): void {
    this.end(visit)
    this.#line++
    this.#unreadable.add(this.#source, this.#line, start)
  }

  /** Reads the lines of a record that was never closed. */
  end(visit: Visit): void {
    while (this.#open.length > 0) this.#skipFirst(visit)
  }

  #close(visit: Visit): void {
    const text = this.#open.join('\n')
    const line = this.#line - this.#open.length + 1
    this.#forget()
    const record = recordIn(text)
    if (record === undefined) this.#unreadable.add(this.#source, line, text)
    else this.#record(record, text, line, visit)
  }

  /** The first of the open lines cannot be read. The others are read anew. */
  #skipFirst(visit: Visit): void {
    const [first = '', ...others] = this.#open
    this.#line -= others.length
    this.#unreadable.add(this.#source, this.#line, first)
    this.#forget()
    for (const line of others) this.read(line, visit)
  }

  #forget(): void {
    this.#open = []
    this.#quotes = 0
  }

  #record(values: string[], text: string, line: number, visit: Visit): void {
    const columns = this.#columns
    if (columns === undefined) this.#columns = this.#header(values)
    else if (values.length === columns.size) visit(new CsvEntry(columns, values), line, text)
    else this.#unreadable.add(this.#source, line, text)
  }

  #header(values: readonly string[]): Columns {
    const names = values.map((value) => value.trim())
    const columns = new Map(names.map((name, index) => [name, index]))
    const wrong = names.find((name) => name === '' || isTimeOrNumber(name))
    if (wrong === undefined && columns.size === names.length) return columns
    throw new UsageError(
      `${this.#source} must begin with a header of different names, such as time,ip, got ${JSON.stringify(names.slice(0, 20).join(','))}`,
    )
  }
}

function quotesIn(line: string): number {
  let count = 0
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) count++
  return count
}

/** @returns `undefined` if the text is not one record */
function recordIn(text: string): string[] | undefined {
  try {
    const records: string[][] = parse(text, { trim: true, relax_column_count: true })
    return records.length === 1 ? records[0] : undefined
  } catch {
    return undefined
  }
}
