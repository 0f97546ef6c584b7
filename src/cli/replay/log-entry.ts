/** One line of a log: fields by name. */
export interface LogEntry {
  /** The value of a field. `undefined`: the line has no such field, or only a placeholder such as `-` in an access log. */
  field(name: string): string | undefined
  /** The names of the fields, for errors. */
  names(): readonly string[]
}

/** Reads lines of one format. `undefined`: the line is not of the format. */
export type LineReader = (line: string) => LogEntry | undefined

/** Is called with each entry of a log, the number of its line and its text. */
export type Visit = (entry: LogEntry, line: number, text: string) => void

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
