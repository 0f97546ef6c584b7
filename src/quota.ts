/** A quota: a number of units per period, and a burst. A frozen value. */
import { checkInteger, checkText, named } from './arguments.ts'
import { type Duration, durationText, microseconds } from './duration.ts'
import { checkOptionNames, optionNames } from './option-names.ts'

/** The longest period: 10 years of 3,653 days, in µs. */
const MAXIMUM_PERIOD = 3653 * 86_400_000_000

const NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/
const TEXT =
  /^\s*(\d+)\s*(?:\/|\bper\b)\s*(?:(\d+(?:\.\d*)?|\.\d+)\s*)?([a-zµμ]+)(?:\s+burst\s+(\d+))?(?:\s+name\s+(\S+))?\s*$/i

/** The numbers and the name of a quota. */
export interface QuotaOptions {
  /** Units allowed in each period: a safe integer, 0 or more. 0 refuses everything, as for a plan without access. */
  readonly count: number
  /** Milliseconds, or a text such as `'1 minute'`; from 1 µs to 10 years. */
  readonly period: Duration
  /** Units that may come at once on top of `count`: a safe integer, 0 or more, and 0 if `count` is 0. Default 0. */
  readonly maximumBurst?: number | undefined
  /** The name of the policy: `[A-Za-z][A-Za-z0-9_.-]*`. Default: its numbers, such as `100-1m`. A given name lets the numbers change without losing what is used. */
  readonly name?: string | undefined
}

const OPTIONS = optionNames<QuotaOptions>({ count: true, period: true, maximumBurst: true, name: true })
const EVERY_OPTIONS = optionNames<Pick<QuotaOptions, 'maximumBurst' | 'name'>>({ maximumBurst: true, name: true })

/**
 * A quota: `count` units in each `period`, and `maximumBurst` more at once. A frozen value, to be made once and shared.
 * Where a rate is taken, a text that `Quota.parse` reads may stand instead.
 * @example
 * const rate = Quota.perMinute(100, { maximumBurst: 20 })
 * console.log(rate.limit, String(rate)) // 120 100/1m burst 20
 * console.log(Quota.parse('100/minute burst 20').equals(rate)) // true
 */
export class Quota {
  /** Units allowed in each period. 0: everything is refused. */
  readonly count: number
  /** The period in milliseconds, a whole number of µs. */
  readonly period: number
  /** Units that may come at once on top of `count`. */
  readonly maximumBurst: number
  /** The given name, or the numbers: `100-1m`, `100b20-1m`, `5-1500ms`. */
  readonly name: string
  /** `count + maximumBurst`: the most that can be spent at once. */
  readonly limit: number
  /** The period in whole microseconds, as the algorithms count it. */
  readonly periodMicroseconds: number
  /** The name under which stores keep the state of this quota: the default name, or the given name with the period. */
  readonly stateName: string

  /**
   * Makes a quota of any period; `Quota.perMinute` and its like are shorter for the usual ones.
   * @throws TypeError for a value of a wrong type, RangeError for one out of range.
   */
  constructor(options: QuotaOptions) {
    checkOptionNames('options of Quota', options, OPTIONS)
    const { count, period, maximumBurst = 0, name } = options
    checkInteger('count', count, 0)
    checkInteger('maximumBurst', maximumBurst, 0)
    if (count === 0 && maximumBurst > 0) {
      throw new RangeError(
        `maximumBurst must be 0 with a count of 0, because no unit would ever come back; got ${maximumBurst}`,
      )
    }
    if (!Number.isSafeInteger(count + maximumBurst)) {
      throw new RangeError(`count + maximumBurst must be a safe integer, got ${count} + ${maximumBurst}`)
    }
    const whole = microseconds(period, 'period')
    if (whole < 1 || whole > MAXIMUM_PERIOD) {
      throw new RangeError(`period must be from 1 microsecond to 10 years (3653 days), got ${named(period)}`)
    }
    if (name !== undefined) {
      checkText('name', name)
      if (!NAME.test(name)) throw new RangeError(`name must match ${NAME.source}, got ${named(name)}`)
    }
    const periodText = durationText(whole)
    const numbers = `${count}${maximumBurst > 0 ? `b${maximumBurst}` : ''}-${periodText}`
    this.count = count
    this.period = whole / 1000
    this.maximumBurst = maximumBurst
    this.name = name ?? numbers
    this.limit = count + maximumBurst
    this.periodMicroseconds = whole
    this.stateName = name === undefined ? numbers : `${name}-${periodText}`
    Object.freeze(this)
  }

  /** `count` units a second. Options and errors are those of the constructor. */
  static perSecond(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(1000, count, options)
  }

  /** `count` units a minute. */
  static perMinute(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(60_000, count, options)
  }

  /** `count` units an hour. */
  static perHour(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(3_600_000, count, options)
  }

  /** `count` units a day of 24 hours. */
  static perDay(count: number, options?: Pick<QuotaOptions, 'maximumBurst' | 'name'>): Quota {
    return every(86_400_000, count, options)
  }

  /**
   * Reads `'100/minute'`, `'10 per 2 hours'`, `'5/s burst 10'`, `'100/min name login'`.
   * @throws TypeError when not a string, RangeError when it cannot be read.
   */
  static parse(text: string): Quota {
    checkText('quota', text)
    const match = TEXT.exec(text)
    if (match === null) throw unreadable(text)
    const [, count, number = '1', unit = '', burst = '0', name] = match
    let period: number
    try {
      period = microseconds(`${number} ${unit}`) / 1000
    } catch {
      throw unreadable(text)
    }
    return new Quota({ count: Number(count), period, maximumBurst: Number(burst), name })
  }

  /**
   * Reads several quotas, separated by `;` `,` `|` or a new line; blank parts are skipped.
   * @throws RangeError when a part cannot be read, or there is none.
   */
  static parseAll(text: string): Quota[] {
    checkText('quotas', text)
    const parts = text.split(/[;,|\r\n]/).filter((part) => part.trim() !== '')
    if (parts.length === 0) throw unreadable(text)
    return parts.map((part) => Quota.parse(part))
  }

  /** True for a quota of the same count, period, burst and name. */
  equals(other: unknown): boolean {
    return (
      other instanceof Quota &&
      this.count === other.count &&
      this.periodMicroseconds === other.periodMicroseconds &&
      this.maximumBurst === other.maximumBurst &&
      this.name === other.name
    )
  }

  /**
   * This quota divided among `instances` that count separately; together they never allow more than the whole quota.
   * A share of a count of 0 has a count of 0.
   * @throws RangeError when there are more instances than `count`.
   */
  share(instances: number): Quota {
    checkInteger('instances', instances, 1)
    if (this.count > 0 && instances > this.count) {
      throw new RangeError(`instances must be at most the quota's count of ${this.count}, got ${instances}`)
    }
    return new Quota({
      count: Math.floor(this.count / instances),
      period: this.period,
      maximumBurst: Math.floor(this.maximumBurst / instances),
      name: this.#givenName(),
    })
  }

  /** A text that `Quota.parse` reads back to an equal quota. */
  toString(): string {
    const burst = this.maximumBurst > 0 ? ` burst ${this.maximumBurst}` : ''
    const name = this.#givenName()
    return `${this.count}/${durationText(this.periodMicroseconds)}${burst}${name === undefined ? '' : ` name ${name}`}`
  }

  /** Default names start with a digit, given ones with a letter. */
  #givenName(): string | undefined {
    return this.name === this.stateName ? undefined : this.name
  }
}

function every(period: number, count: number, options: Pick<QuotaOptions, 'maximumBurst' | 'name'> = {}): Quota {
  checkOptionNames('options of Quota', options, EVERY_OPTIONS)
  return new Quota({ count, period, maximumBurst: options.maximumBurst, name: options.name })
}

function unreadable(text: string): RangeError {
  return new RangeError(
    `quota must be a text such as '100/minute', '10 per 2 hours' or '5/s burst 10', got ${named(text)}`,
  )
}
