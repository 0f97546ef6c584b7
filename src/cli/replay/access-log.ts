/**
 * The Common and Combined formats of access logs, as Apache and nginx write them. Read by an expression of our own, because the parsers on
 * npm are not maintained, lose lines between chunks, or read no escaped quotes.
 */
import type { LogEntry } from './log-entry.ts'

const QUOTED = String.raw`"((?:[^"\\]|\\.)*)"`
const LINE = new RegExp(
  String.raw`^(\S+) (\S+) (.+?) \[([^\]]+)\] ${QUOTED} (\d{3}|-) (\d+|-)(?: ${QUOTED} ${QUOTED})?(?: .*)?$`,
)
const REQUEST = /^(\S+) (\S+)(?: (\S+))?$/

/** The place of each field in a line. Fields of the request line, such as `method`, are in `REQUESTS`. */
const FIELDS = new Map([
  ['ip', 1],
  ['identity', 2],
  ['user', 3],
  ['time', 4],
  ['request', 5],
  ['status', 6],
  ['bytes', 7],
  ['header:referer', 8],
  ['header:user-agent', 9],
])
const REQUESTS = new Map([
  ['method', 1],
  ['url', 2],
  ['protocol', 3],
])
const NAMES = [...FIELDS.keys(), ...REQUESTS.keys(), 'path']

class AccessLogEntry implements LogEntry {
  readonly #values: RegExpExecArray

  constructor(values: RegExpExecArray) {
    this.#values = values
  }

  field(name: string): string | undefined {
    const place = FIELDS.get(name)
    if (place !== undefined) return presentOf(this.#values[place])
    const inRequest = REQUESTS.get(name)
    if (inRequest !== undefined) return this.#request(inRequest)
    return name === 'path' ? this.#request(2)?.replace(/[?#].*$/, '') : undefined
  }

  names(): readonly string[] {
    return NAMES
  }

  #request(place: number): string | undefined {
    return REQUEST.exec(this.#values[5] ?? '')?.[place]
  }
}

function presentOf(value: string | undefined): string | undefined {
  return value === '-' || value === '' ? undefined : value
}

export function readAccessLog(line: string): LogEntry | undefined {
  const values = LINE.exec(line)
  return values === null ? undefined : new AccessLogEntry(values)
}
