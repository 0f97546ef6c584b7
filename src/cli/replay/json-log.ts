/** Logs as JSON lines: an object each. */
import type { LogEntry } from './log-entry.ts'

/** Named values. A name with dots also finds a value within values: `http.status` in `{ http: { status: 200 } }`. */
class JsonEntry implements LogEntry {
  readonly #values: Readonly<Record<string, unknown>>

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values
  }

  field(name: string): string | undefined {
    // Names that every object inherits hold no text, number or truth value.
    const value = this.#values[name] ?? this.#within(name)
    if (typeof value === 'string') return value === '' ? undefined : value
    return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
  }

  names(): readonly string[] {
    return Object.keys(this.#values)
  }

  #within(name: string): unknown {
    if (name.startsWith('header:')) return this.#header(name.slice('header:'.length))
    if (!name.includes('.')) return undefined
    let value: unknown = this.#values
    for (const part of name.split('.')) {
      if (!isRecord(value)) return undefined
      value = value[part]
    }
    return value
  }

  /** Headers are logged under `headers` or `request.headers`, in any case. */
  #header(name: string): unknown {
    const { headers, request } = this.#values
    const all = isRecord(headers) ? headers : isRecord(request) && isRecord(request.headers) ? request.headers : {}
    return Object.entries(all).find(([header]) => header.toLowerCase() === name.toLowerCase())?.[1]
  }
}

export function readJsonLine(line: string): LogEntry | undefined {
  try {
    const values: unknown = JSON.parse(line)
    return isRecord(values) ? new JsonEntry(values) : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
