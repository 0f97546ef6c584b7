/** Turns the entries of logs into requests: their time, key and cost. Lines that have none are counted, never guessed. */
import { closest, distance } from 'fastest-levenshtein'
import { MAXIMUM_KEY_BYTES } from '../../arguments.ts'
import type { SimulatedRequest } from '../../simulate/index.ts'
import { UsageError } from '../exit-codes.ts'
import type { Condition } from './condition.ts'
import type { KeyExpression } from './key-expression.ts'
import type { LogSource } from './lines.ts'
import type { LogEntry } from './log-entry.ts'
import { entriesOf, type ReadLine, type ReadOptions } from './log-format.ts'
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

/** @throws UsageError if no line of a log has a field that the options name */
export async function* requestsOf(
  source: LogSource,
  options: RequestOptions,
  counts: LineCounts,
): AsyncGenerator<SimulatedRequest[]> {
  const times = new LogTimes(options.timeZone)
  let fields: Fields | undefined
  for await (const lines of entriesOf(source, options)) {
    const requests: SimulatedRequest[] = []
    for (const line of lines) {
      fields ??= fieldsOf(source.name, line.entry, options)
      const request = requestOf(line, source.name, fields, times, options, counts)
      if (request !== undefined) requests.push(request)
    }
    yield requests
  }
}

interface Fields {
  readonly time: string
}

function requestOf(
  { line, text, entry }: ReadLine,
  source: string,
  fields: Fields,
  times: LogTimes,
  { key: keyOf, cost, where, unreadable }: RequestOptions,
  counts: LineCounts,
): SimulatedRequest | undefined {
  counts.lines++
  for (const condition of where) {
    if (condition.holds(entry)) continue
    counts.excluded++
    return undefined
  }
  const time = times.read(entry.field(fields.time) ?? '')
  const quantity = cost === undefined ? 1 : Number(entry.field(cost) ?? 0)
  if (time === undefined || !Number.isSafeInteger(quantity) || quantity < 0) {
    unreadable.add(source, line, text === '' ? `${fields.time} or cost cannot be read` : text)
    return undefined
  }
  const key = keyOf.of(entry)
  if (key === undefined || isTooLong(key)) counts.withoutKey++
  else if (quantity === 0) counts.free++
  else return { key, time, quantity }
  return undefined
}

/** A UTF-16 unit takes at most three bytes of UTF-8, so most keys need no counting of bytes. */
function isTooLong(key: string): boolean {
  return key.length * 3 > MAXIMUM_KEY_BYTES && Buffer.byteLength(key) > MAXIMUM_KEY_BYTES
}

/**
 * Finds the field of the time, and refuses fields that the first line shows to be misspelled.
 * @throws UsageError
 */
function fieldsOf(source: string, entry: LogEntry, { key, cost, where, time }: RequestOptions): Fields {
  const found = time ?? TIME_FIELDS.find((name) => entry.field(name) !== undefined)
  const names = entry.names()
  if (found === undefined) {
    throw new UsageError(`${source} has no field of a usual name for the time: give --time one of ${names.join(', ')}`)
  }
  const asked = [...key.fields, ...where.map(({ field }) => field), found, ...(cost === undefined ? [] : [cost])]
  for (const name of asked) {
    if (entry.field(name) !== undefined || names.includes(name) || name.startsWith('header:') || name.includes('.')) {
      continue
    }
    const nearest = closest(name, [...names])
    const hint = distance(name, nearest) <= Math.max(name.length / 2, 2) ? `: did you mean ${nearest}?` : ''
    throw new UsageError(`${source} has no field ${JSON.stringify(name)}${hint || `; it has ${names.join(', ')}`}`)
  }
  return { time: found }
}
