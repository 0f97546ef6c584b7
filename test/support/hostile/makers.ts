/** The entrances where quotas, limiters, throttles, records and results are made. */
import { types } from 'node:util'
import { AlgorithmLimiter, DictionaryStore, GcraLimiter, LimitData, Quota, RateLimitResult, Throttle } from 'onrush'
import { type Entrance, isEmptyArray, isPlain, isPositive, isQuantity, made, never, optional } from './entrance.ts'

const rate = Quota.perDay(10)
const quota = { count: 1, period: 1000 }
const store = new DictionaryStore()
const limiter = new GcraLimiter({ store })
const result = { limited: false, limit: 1, remaining: 1, resetAfter: 0, retryAfter: 0, quota: rate }

export const MAKERS: readonly Entrance[] = [
  {
    name: 'the options of a quota',
    says: /^options of Quota must|^count must/,
    takes: never,
    call: (value) => made(Quota, value),
  },
  {
    name: 'the count of a quota',
    says: /^count/,
    takes: isQuantity,
    call: (value) => made(Quota, { ...quota, count: value }),
  },
  {
    name: 'the burst of a quota',
    says: /^(maximumBurst|count \+ maximumBurst) must/,
    takes: optional((value) => isQuantity(value) && Number.isSafeInteger(Number(value) + 1)),
    call: (value) => made(Quota, { ...quota, maximumBurst: value }),
  },
  {
    name: 'the period of a quota',
    says: /^period must/,
    takes: (value) => typeof value === 'number' && value >= 0.0005 && value <= 3653 * 86_400_000,
    call: (value) => made(Quota, { ...quota, period: value }),
  },
  {
    name: 'the name of a quota',
    says: /^name must/,
    takes: optional((value) => typeof value === 'string' && /^[A-Za-z][A-Za-z0-9_.-]*$/.test(value)),
    call: (value) => made(Quota, { ...quota, name: value }),
  },
  {
    name: 'the extras of perSecond',
    says: /^options of Quota must/,
    takes: optional(isPlain),
    call: (value) => Reflect.apply(Quota.perSecond, Quota, [1, value]),
  },
  {
    name: 'the options of a calendar quota',
    says: /^options of Quota.calendar must|^unit must/,
    takes: never,
    call: (value) => Reflect.apply(Quota.calendar, Quota, [value]),
  },
  {
    name: 'the extras of perWeek',
    says: /^options of Quota must/,
    takes: optional(isPlain),
    call: (value) => Reflect.apply(Quota.perWeek, Quota, [1, value]),
  },
  ...(['unit', 'every', 'timeZone', 'anchor', 'weekStart'] as const).map((name) => ({
    name: `the ${name} of a calendar quota`,
    says: new RegExp(`^${name} must`),
    takes: (value: unknown) =>
      (value === undefined && name !== 'unit') ||
      (name === 'every' && isPositive(value) && Number(value) <= 120) ||
      (name === 'weekStart' && isPositive(value) && Number(value) <= 7),
    call: (value: unknown) => Reflect.apply(Quota.calendar, Quota, [{ count: 1, unit: 'week', [name]: value }]),
  })),
  {
    name: 'the text of a quota',
    says: /^(quota|count|count \+ maximumBurst|period) must/,
    takes: never,
    call: (value) => Reflect.apply(Quota.parse, Quota, [value]),
  },
  {
    name: 'the text of several quotas',
    says: /^(quotas?|count|count \+ maximumBurst|period) must/,
    takes: never,
    call: (value) => Reflect.apply(Quota.parseAll, Quota, [value]),
  },
  {
    name: 'the instances of a share',
    says: /^instances must/,
    takes: (value) => isPositive(value) && Number(value) <= 10,
    call: (value) => Reflect.apply(rate.share, rate, [value]),
  },
  {
    name: 'the options of a throttle',
    says: /^options of Throttle must|^limiter must/,
    takes: never,
    call: (value) => made(Throttle, value),
  },
  {
    name: 'the limiter of a throttle',
    says: /^limiter must|^options of Throttle must hold/,
    takes: never,
    call: (value) => made(Throttle, { limiter: value, rate }),
  },
  {
    name: 'the layers of a throttle',
    says: /^(layers?|limiter( of a layer)?|rate) must|^options of Throttle must hold/,
    takes: never,
    call: (value) => made(Throttle, { layers: value }),
  },
  {
    name: 'the mode of a throttle',
    says: /^shadow must/,
    takes: optional((value) => typeof value === 'boolean'),
    call: (value) => made(Throttle, { limiter, rate, shadow: value }),
  },
  {
    name: 'the options of a limiter',
    says: /^options of .* must|^store must/,
    takes: never,
    call: (value) => made(GcraLimiter, value),
  },
  {
    name: 'the store of a limiter',
    says: /^store must/,
    takes: never,
    call: (value) => made(GcraLimiter, { store: value }),
  },
  {
    name: 'the algorithm of a limiter',
    says: /algorithm/,
    takes: never,
    call: (value) => made(AlgorithmLimiter, { store, algorithm: value }),
  },
  {
    name: 'the Lua of a limiter',
    says: /^lua must/,
    takes: optional((value) => typeof value === 'string'),
    call: (value) => made(AlgorithmLimiter, { store, algorithm: limiter.algorithm, lua: value }),
  },
  {
    name: 'the fields of a record',
    says: /^(fields of LimitData|used) must/,
    takes: never,
    call: (value) => made(LimitData, value),
  },
  ...(['used', 'remaining', 'createdAt', 'time', 'history'] as const).map((name) => ({
    name: `${name} of a record`,
    says: new RegExp(`^${name}`),
    takes: (value: unknown) =>
      name === 'history'
        ? value === undefined || isEmptyArray(value)
        : Number.isFinite(value) || (value === undefined && name !== 'used' && name !== 'remaining'),
    call: (value: unknown) => made(LimitData, { used: 1, remaining: 2, [name]: value }),
  })),
  {
    name: 'the JSON of a record',
    says: /^(a LimitData record|used) must/,
    takes: never,
    call: (value) => Reflect.apply(LimitData.fromJSON, LimitData, [value]),
  },
  {
    name: 'the changes of a record',
    says: /^changes must/,
    takes: isPlain,
    call: (value) => {
      const data = new LimitData({ used: 1, remaining: 2 })
      return Reflect.apply(data.copyWith, data, [value])
    },
  },
  {
    name: 'the fields of a result',
    says: /^(fields of RateLimitResult|limited) must/,
    takes: never,
    call: (value) => made(RateLimitResult, value),
  },
  ...(
    ['limited', 'limit', 'remaining', 'resetAfter', 'nextAfter', 'retryAfter', 'quota', 'layers', 'degraded'] as const
  ).map((name) => ({
    name: `${name} of a result`,
    says: new RegExp(`^${name}`),
    takes: (value: unknown) =>
      name === 'limited' || name === 'degraded'
        ? typeof value === 'boolean' || (value === undefined && name === 'degraded')
        : name === 'layers'
          ? value === undefined || isEmptyArray(value)
          : (value === undefined && name === 'nextAfter') ||
            (name !== 'quota' && typeof value === 'number' && value >= 0),
    call: (value: unknown) => made(RateLimitResult, { ...result, [name]: value }),
  })),
  {
    name: 'the start that a result counts from',
    says: /^from must/,
    takes: optional((value) => Number.isFinite(types.isDate(value) ? value.getTime() : value)),
    call: (value) => {
      const made = new RateLimitResult(result)
      return Reflect.apply(made.resetsAt, made, [value])
    },
  },
]
