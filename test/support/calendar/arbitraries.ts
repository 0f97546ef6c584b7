/** Calendar quotas and instants from 1970 to 2100: the ordinary, and those where calendars are strange. */
import fc from 'fast-check'
import { type CalendarPeriod, type CalendarQuotaOptions, Quota } from 'onrush'

/** Zones in which days have begun late, twice or never, and offsets of all kinds. */
export const STRANGE_ZONES = [
  'Pacific/Apia',
  'Pacific/Kwajalein',
  'Pacific/Kiritimati',
  'America/Sao_Paulo',
  'America/Havana',
  'America/St_Johns',
  'America/Scoresbysund',
  'America/Santiago',
  'Asia/Beirut',
  'Asia/Gaza',
  'Asia/Kathmandu',
  'Asia/Pyongyang',
  'Asia/Tehran',
  'Africa/Cairo',
  'Africa/Monrovia',
  'Africa/Casablanca',
  'Antarctica/Troll',
  'Australia/Lord_Howe',
  'Europe/Berlin',
  'Europe/Dublin',
  'Pacific/Chatham',
  '+05:30',
  '-11:59',
  'UTC',
]

/** On a day that a zone skipped or lengthened, a leap day, or the end of a year. */
const STRANGE_INSTANTS = [
  '2011-12-30T12:00Z',
  '1993-08-21T12:00Z',
  '1994-12-31T12:00Z',
  '2018-11-04T03:00Z',
  '2026-03-29T01:00Z',
  '2026-10-25T01:00Z',
  '2024-02-29T23:59Z',
  '1999-12-31T23:59Z',
  '1972-01-07T00:30Z',
  '2006-10-29T02:31Z',
].map((text) => BigInt(Date.parse(text)) * 1000n)

const LATEST = BigInt(Date.parse('2100-01-01T00:00Z')) * 1000n
const DAY = 86_400_000_000

export const zones: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...STRANGE_ZONES),
  fc.constantFrom(...Intl.supportedValuesOf('timeZone')),
)

export const instants: fc.Arbitrary<bigint> = fc.oneof(
  fc.bigInt({ min: 0n, max: LATEST }),
  fc
    .tuple(fc.constantFrom(...STRANGE_INSTANTS), fc.integer({ min: -2 * DAY, max: 2 * DAY }))
    .map(([instant, off]) => instant + BigInt(off)),
  fc.constantFrom(0n, 1n),
)

const anchors = fc.oneof(
  fc.constantFrom(undefined, '2026-01-31', '2024-02-29', '1999-12-31', '2011-12-30'),
  fc
    .date({ min: new Date('1960-01-01'), max: new Date('2110-01-01'), noInvalidDate: true })
    .map((date) => date.toISOString().slice(0, 10)),
)

/** In days, the longest that one unit can be; some more, because a clock may be set back. */
const LONGEST = { day: 2, week: 8, month: 32, year: 367 } as const
const MOST = { day: 120, week: 120, month: 60, year: 20 } as const

interface Calendar extends Omit<CalendarQuotaOptions, 'count' | 'name'> {
  readonly every: number
}

const calendars: fc.Arbitrary<Calendar> = fc
  .record({ unit: fc.constantFrom('day', 'week', 'month', 'year'), timeZone: zones, anchor: anchors })
  .chain(({ unit, ...rest }) =>
    fc
      .oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 1, max: MOST[unit] }))
      .map((every) => ({ unit, every, ...rest })),
  )

/** How long a window is, in µs, about. */
export function lengthOf({ unit, every }: Pick<CalendarPeriod, 'unit' | 'every'>): number {
  return LONGEST[unit] * every * DAY
}

/** Counts that a sliding window counter counts exactly: `2 * limit * length` is below 2^53, also for debts if `headroom` is more than 2. */
function counts(calendar: Calendar, headroom = 2): fc.Arbitrary<number> {
  const most = Math.floor(Number.MAX_SAFE_INTEGER / (headroom * lengthOf(calendar)))
  return fc.oneof(fc.integer({ min: 1, max: Math.min(most, 10) }), fc.integer({ min: 1, max: most }))
}

export const calendarQuotas: fc.Arbitrary<Quota> = calendars.chain((calendar) =>
  counts(calendar).map((count) => Quota.calendar({ ...calendar, count })),
)

/** Of which debts of so many limits are still counted exactly. */
export function calendarQuotasWith(headroom: number): fc.Arbitrary<Quota> {
  return calendars
    .filter((calendar) => headroom * lengthOf(calendar) <= Number.MAX_SAFE_INTEGER)
    .chain((calendar) => counts(calendar, headroom).map((count) => Quota.calendar({ ...calendar, count })))
}

/** Quotas of one name and calendar whose counts differ. */
export const changingCalendarQuotas: fc.Arbitrary<[Quota, ...Quota[]]> = calendars.chain((calendar) => {
  const quotas = counts(calendar).map((count) => Quota.calendar({ ...calendar, count, name: 'plan' }))
  return fc.tuple(quotas, quotas, quotas)
})
