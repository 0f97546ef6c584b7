/** The record that a user's store keeps for a key: five fields in which every algorithm can write its state. */
import { checkOptions, named } from './arguments.ts'
import { wallTime } from './clock.ts'
import { checkOptionNames, optionNames } from './option-names.ts'

/** The fields of a record. Every number is finite. */
export interface LimitDataFields {
  /** Units used: any finite number. */
  readonly used: number
  /** Units that were available when the record was written: any finite number, negative for a debt. */
  readonly remaining: number
  /** When counting began, in µs since the epoch: any finite number. Default: now. */
  readonly createdAt?: number | undefined
  /** The time for which the record holds, in µs since the epoch: any finite number. Default: none, for algorithms that need no time. */
  readonly time?: number | undefined
  /** More numbers of the algorithm, such as the log of a moving window. */
  readonly history?: readonly number[] | undefined
}

const FIELDS = optionNames<LimitDataFields>({ used: true, remaining: true, createdAt: true, time: true, history: true })

/**
 * The record that a store of your own keeps for a key: five fields, in which every algorithm can write its state. Frozen; every number
 * is finite. Store its JSON, and read that back with `LimitData.fromJSON`.
 * @example
 * const data = new LimitData({ used: 3, remaining: 7, createdAt: 1_700_000_000_000_000 })
 * console.log(LimitData.fromJSON(JSON.stringify(data)).equals(data)) // true
 */
export class LimitData {
  /** Units used. */
  readonly used: number
  /** Units that were available when the record was written. */
  readonly remaining: number
  /** When counting began, in µs since the epoch. */
  readonly createdAt: number
  // Both are only declared, so that a record without them does not list them as `undefined`.
  /** The time for which the record holds, in µs since the epoch. `undefined`: the algorithm does not need one. */
  declare readonly time?: number
  /** More numbers of the algorithm, such as the log of a moving window. `undefined`: there are none. */
  declare readonly history?: readonly number[]

  /**
   * Checks and freezes the fields.
   * @throws TypeError for a field that is not a number, RangeError for one that is not finite.
   */
  constructor(fields: LimitDataFields) {
    checkOptionNames('fields of LimitData', fields, FIELDS)
    const { used, remaining, createdAt = wallTime(), time, history } = fields
    this.used = finite('used', used)
    this.remaining = finite('remaining', remaining)
    this.createdAt = finite('createdAt', createdAt)
    if (time !== undefined) this.time = finite('time', time)
    if (history !== undefined) this.history = Object.freeze(numbers('history', history))
    Object.freeze(this)
  }

  /** The same record with some fields replaced; `undefined` removes `time` or `history`. */
  copyWith(changes: Partial<LimitDataFields>): LimitData {
    checkOptionNames('changes', changes, FIELDS)
    return new LimitData({ ...this.toJSON(), ...changes })
  }

  /** True when all fields are the same. */
  equals(other: LimitData | undefined): boolean {
    return (
      other !== undefined &&
      this.used === other.used &&
      this.remaining === other.remaining &&
      this.createdAt === other.createdAt &&
      this.time === other.time &&
      sameNumbers(this.history, other.history)
    )
  }

  /** A plain object, its fields always in the same order, so that equal records have equal JSON texts. */
  toJSON(): LimitDataFields & { readonly createdAt: number } {
    return {
      used: this.used,
      remaining: this.remaining,
      createdAt: this.createdAt,
      ...(this.time === undefined ? {} : { time: this.time }),
      ...(this.history === undefined ? {} : { history: [...this.history] }),
    }
  }

  /**
   * Reads a record from the text of `JSON.stringify` or the object of `toJSON`.
   * @throws TypeError or RangeError for anything else.
   */
  static fromJSON(json: string | object): LimitData {
    const fields = typeof json === 'string' ? parse(json) : json
    checkOptions('a LimitData record', fields)
    const { used, remaining, createdAt, time, history }: Partial<Record<keyof LimitDataFields, unknown>> = fields
    return new LimitData({
      used: finite('used', used),
      remaining: finite('remaining', remaining),
      createdAt: finite('createdAt', createdAt),
      ...(time === undefined ? {} : { time: finite('time', time) }),
      ...(history === undefined ? {} : { history: numbers('history', history) }),
    })
  }
}

function parse(text: string): object {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {}
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw new RangeError(`a LimitData record must be the JSON of an object, got ${named(text)}`)
}

function finite(name: string, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${named(value)}`)
  if (!Number.isFinite(value)) throw new RangeError(`${name} must be finite, got ${named(value)}`)
  // Turns -0 into 0, because JSON has no -0 and a record must equal itself after a round trip.
  return value === 0 ? 0 : value
}

function numbers(name: string, value: unknown): number[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be an array of numbers, got ${named(value)}`)
  return Array.from(value, (item: unknown, index) => finite(`${name}[${index}]`, item))
}

function sameNumbers(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && a.every((value, index) => value === b[index])
}
