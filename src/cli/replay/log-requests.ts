/** Turns the entries of logs into requests: their time, key and cost. Lines that have none are counted, never guessed. */
import { closest, distance } from 'fastest-levenshtein'
import { MAXIMUM_KEY_BYTES } from '../../arguments.ts'
import type { SimulatedRequest } from '../../simulate/index.ts'
import { UsageError } from '../exit-codes.ts'
import { printable } from '../printable.ts'
import type { Condition } from './condition.ts'
import type { KeyExpression } from './key-expression.ts'
import type { LogSource } from './lines.ts'
import type { LogEntry } from './log-entry.ts'
import { type ReadOptions, readLog } from './log-format.ts'
import { LogTimes, TIME_FIELDS } from './log-time.ts'

export interface RequestOptions extends ReadOptions {
  readonly key: KeyExpression
  /** The field of a line's cost. `undefined`: each line costs 1. */
  readonly cost: string | undefined
  readonly where: readonly Condition[]
  /** The field of a line's time. `undefined`: the first usual name that the log has. */
  readonly time: string | undefined
  readonly timeZone: string
}

/** Lines of the logs by what became of them. */
export class LineCounts {
  lines = 0
  /** Lines for which a condition does not hold. */
  excluded = 0
  /** Lines that have no such key. */
  withoutKey = 0
  /** Lines whose cost is 0. */
  free = 0
}

/** V8 copies parts that are shorter than this many UTF-16 units. */
const SHORTEST_PART = 13

/**
 * Texts that share no memory with others. A part of a string keeps the whole alive, which for a key would be the chunk of the log that it
 * came in.
 */
export class OwnTexts {
  readonly #texts = new Map<string, string>()

  /** The same text, copied when it is met first. */
  own(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    const copy = text.length < SHORTEST_PART ? text : Buffer.from(text, 'utf16le').toString('utf16le')
    this.#texts.set(copy, copy)
    return copy
  }
}

/** @throws UsageError if no line of a log has a field that the options name */
export async function* requestsOf(
  source: LogSource,
  options: RequestOptions,
  counts: LineCounts,
  keys: OwnTexts,
): AsyncGenerator<SimulatedRequest[]> {
  const times = new LogTimes(options.timeZone)
  const { key: keyOf, cost, where, unreadable } = options
  let time: string | undefined
  let requests: SimulatedRequest[] = []
  const visit = (entry: LogEntry, line: number, text: string): void => {
    time ??= fieldsOf(source.name, entry, options)
    counts.lines++
    for (const condition of where) {
      if (condition.holds(entry)) continue
      counts.excluded++
      return
    }
    const at = times.read(entry.field(time) ?? '')
    const quantity = cost === undefined ? 1 : Number(entry.field(cost) ?? 0)
    if (at === undefined || !Number.isSafeInteger(quantity) || quantity < 0) {
      unreadable.add(source.name, line, text)
      return
    }
    const key = keyOf.of(entry)
    if (key === undefined || isTooLong(key)) counts.withoutKey++
    else if (quantity === 0) counts.free++
    else requests.push({ key: keys.own(key), time: at, quantity })
  }
  for await (const _ of readLog(source, options, visit)) {
    yield requests
    requests = []
  }
}

/** A UTF-16 unit takes at most three bytes of UTF-8, so most keys need no counting of bytes. */
function isTooLong(key: string): boolean {
  return key.length * 3 > MAXIMUM_KEY_BYTES && Buffer.byteLength(key) > MAXIMUM_KEY_BYTES
}

/**
 * Finds the name of the field of the time, and refuses fields that the first line shows to be misspelled.
 * @throws UsageError
 */
function fieldsOf(source: string, entry: LogEntry, { key, cost, where, time }: RequestOptions): string {
  const found = time ?? TIME_FIELDS.find((name) => entry.field(name) !== undefined)
  const names = entry.names()
  if (found === undefined) {
    throw new UsageError(`${source} has no field of a usual name for the time: give --time one of ${some(names)}`)
  }
  const asked = [...key.fields, ...where.map(({ field }) => field), found, ...(cost === undefined ? [] : [cost])]
  for (const name of asked) {
    if (entry.field(name) !== undefined || names.includes(name) || name.startsWith('header:') || name.includes('.')) {
      continue
    }
    const nearest = closest(name, [...names])
    const hint = distance(name, nearest) <= Math.max(name.length / 2, 2) ? `: did you mean ${nearest}?` : ''
    throw new UsageError(`${source} has no field ${JSON.stringify(name)}${hint || `; it has ${some(names)}`}`)
  }
  return found
}

/** The first of many names. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => printable(name, 40))
  return [...shown, ...(names.length > shown.length ? ['…'] : [])].join(', ')
}
