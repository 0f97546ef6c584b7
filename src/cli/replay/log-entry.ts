/** One line of a log: fields by name. */
export interface LogEntry {
  /** The value of a field. `undefined`: the line has no such field, or only a placeholder such as `-` in an access log. */
  field(name: string): string | undefined
  /** The names of the fields, for errors. */
  names(): readonly string[]
}

/** Reads lines of one format. `undefined`: the line is not of the format. */
export type LineReader = (line: string) => LogEntry | undefined
