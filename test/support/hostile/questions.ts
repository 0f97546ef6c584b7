/** Entrances for the arguments of checks (keys, quantities, rates and options), and for records. */
import {
  type BaseStore,
  checkAll,
  GcraLimiter,
  LimitData,
  MovingWindowLimiter,
  Quota,
  reserveAll,
  Throttle,
  throttled,
} from 'onrush'
import {
  type Entrance,
  isAtMostUndefined,
  isKey,
  isMilliseconds,
  isPlain,
  isQuantity,
  made,
  missing,
  never,
  optional,
} from './entrance.ts'

const rate = Quota.perDay(10)

/** No caller waits its turn. */
const AT_ONCE = { maxWait: 0 }

/** Below the smaller limit of the two quotas, or a percentage. */
function isLeave(value: unknown): boolean {
  return typeof value === 'string' ? /^\d\d?(\.\d{1,9})?%$/.test(value) : isQuantity(value) && Number(value) < 5
}

let keys = 0

function newKey(): string {
  return `key ${keys++}`
}

/** Where checks come in, on any store. */
export function throttleEntrances(store: BaseStore): Entrance[] {
  const limiter = new GcraLimiter({ store })
  const layers = [Quota.perDay(10), Quota.perHour(5)]
  const throttle = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: layers })
  const method = (
    name: 'check' | 'checkUpTo' | 'peek' | 'clear' | 'refund' | 'reserve' | 'acquire',
    ...args: unknown[]
  ): unknown => Reflect.apply(throttle[name], throttle, args)
  const promises = true
  return [
    ...(['check', 'checkUpTo', 'peek', 'clear', 'refund', 'reserve', 'acquire'] as const).map((name) => ({
      name: `the key of ${name}`,
      says: /^key must/,
      takes: isKey,
      call: (value: unknown) => method(name, value, ...(name === 'acquire' ? [1, AT_ONCE] : [])),
      promises,
    })),
    ...(['check', 'checkUpTo', 'refund', 'reserve', 'acquire'] as const).map((name) => ({
      name: `the quantity of ${name}`,
      says: /^quantity must/,
      takes: optional(isQuantity),
      call: (value: unknown) => method(name, 'key', value, ...(name === 'acquire' ? [AT_ONCE] : [])),
      promises,
    })),
    ...(['check', 'checkUpTo', 'refund', 'reserve', 'acquire'] as const).map((name) => ({
      name: `the options of ${name}`,
      says: /^options of a check must/,
      takes: optional(isPlain),
      call: (value: unknown) => method(name, newKey(), 1, value),
      promises,
    })),
    {
      name: 'the rate of a check',
      says: /^rate must|^quota must be a text such as|Quota/,
      takes: missing,
      call: (value) => method('check', 'key', 1, { rate: value }),
      promises,
    },
    ...(['check', 'reserve', 'acquire'] as const).map((name) => ({
      name: `the signal of ${name}`,
      says: /^signal must/,
      takes: missing,
      call: (value: unknown) => method(name, 'key', 1, { signal: value }),
      promises,
    })),
    ...(['check', 'reserve'] as const).map((name) => ({
      name: `what ${name} leaves to others`,
      says: /^leave must/,
      takes: optional(isLeave),
      call: (value: unknown) => method(name, newKey(), 1, { leave: value }),
      promises,
    })),
    {
      name: 'upTo of reserve',
      says: /^upTo must/,
      takes: optional((value) => typeof value === 'boolean'),
      call: (value) => method('reserve', newKey(), 1, { upTo: value }),
      promises,
    },
    {
      name: 'the longest wait of acquire',
      says: /^maxWait must/,
      takes: optional((value) => typeof value === 'number' && value >= 0),
      call: (value) => method('acquire', newKey(), 1, { maxWait: value }),
      promises,
    },
    {
      name: 'the subjects of checkAll',
      says: /^(subjects?|throttle) must|^checkAll/,
      takes: never,
      call: (value) => Reflect.apply(checkAll, undefined, [value]),
      promises,
    },
    {
      name: 'a subject of checkAll',
      says: /^(subject|throttle) must/,
      takes: never,
      call: (value) => Reflect.apply(checkAll, undefined, [[{ throttle, key: 'key' }, value]]),
      promises,
    },
    {
      name: 'a subject of reserveAll',
      says: /^(subject|throttle) must/,
      takes: never,
      call: (value) => Reflect.apply(reserveAll, undefined, [[{ throttle, key: 'key' }, value]]),
      promises,
    },
    {
      name: 'the units that a reservation of several subjects is settled with',
      says: /^actuals(\[\d+\])? must/,
      takes: optional(isAtMostUndefined),
      call: async (value) => {
        const reservation = await reserveAll([{ throttle, key: newKey(), quantity: 0 }])
        return Reflect.apply(reservation.settle, reservation, [value])
      },
      promises,
    },
    {
      name: 'the key of a subject',
      says: /^key must/,
      takes: isKey,
      call: (value) => Reflect.apply(checkAll, undefined, [[{ throttle, key: value }]]),
      promises,
    },
    {
      name: 'the quantity of a subject',
      says: /^quantity must/,
      takes: optional(isQuantity),
      call: (value) => Reflect.apply(checkAll, undefined, [[{ throttle, key: 'key', quantity: value }]]),
      promises,
    },
    {
      name: 'the throttle of a subject',
      says: /^throttle must/,
      takes: never,
      call: (value) => Reflect.apply(checkAll, undefined, [[{ throttle: value, key: 'key' }]]),
      promises,
    },
    {
      name: 'the units that a reservation is settled with',
      says: /^actual must/,
      takes: optional(isQuantity),
      call: async (value) => {
        const reservation = await throttle.reserve(newKey(), 0)
        return Reflect.apply(reservation.settle, reservation, [value])
      },
      promises,
    },
    {
      name: 'the key of a wrapped function',
      says: /^key must/,
      takes: isKey,
      call: (value) => Reflect.apply(throttled, undefined, [throttle, { key: () => value }])(() => 1)(),
      promises,
    },
    {
      name: 'the key of a limiter',
      says: /^key must/,
      takes: isKey,
      call: (value) => Reflect.apply(limiter.rateLimit, limiter, [value, 1, rate]),
      promises,
    },
    {
      name: 'the rate of a limiter',
      says: /^rate must|^quota must be a text such as|Quota/,
      takes: never,
      call: (value) => Reflect.apply(limiter.rateLimit, limiter, ['key', 1, value]),
      promises,
    },
    {
      name: 'the rate of a throttle',
      says: /^rate must|^quota must be a text such as|Quota/,
      takes: never,
      call: (value) => made(Throttle, { limiter, rate: value }),
    },
    {
      name: 'a quota among the rates of a throttle',
      says: /^rate must|^quota must be a text such as|Quota/,
      takes: never,
      call: (value) => made(Throttle, { limiter, rate: [rate, value] }),
    },
    {
      name: 'a layer of a throttle',
      says: /^(layer|limiter of a layer) must/,
      takes: never,
      call: (value) => made(Throttle, { layers: [{ limiter, rate }, value] }),
    },
    {
      name: 'the quantity of a layer',
      says: /^quantity of a layer must/,
      takes: optional((value) => isQuantity(value) && value !== 0 && Number(value) <= rate.limit),
      call: (value) => made(Throttle, { layers: [{ limiter, rate, quantity: value }] }),
    },
    {
      name: 'the function that is throttled',
      says: /^what is throttled must|default key/,
      takes: (value) => typeof value === 'function' && value.name !== '',
      call: (value) => Reflect.apply(throttled(throttle), undefined, [value]),
    },
    {
      name: 'the options of throttled',
      says: /^options of throttled must/,
      takes: optional(isPlain),
      call: (value) => Reflect.apply(throttled, undefined, [throttle, value]),
    },
    {
      name: 'the quantity of throttled',
      says: /^quantity must/,
      takes: optional(isQuantity),
      call: (value) => Reflect.apply(throttled, undefined, [throttle, { quantity: value }]),
    },
  ]
}

/** Where records come in by hand. */
export function recordEntrances(store: BaseStore): Entrance[] {
  const data = new LimitData({ used: 1, remaining: 2 })
  return [
    {
      name: 'the key of a record',
      says: /^key must/,
      takes: isKey,
      call: (value) => Reflect.apply(store.get, store, [value]),
    },
    {
      name: 'the data of a record',
      says: /^data must/,
      takes: never,
      call: (value) => Reflect.apply(store.set, store, ['key', value]),
    },
    {
      name: 'the ttl of a record',
      says: /^ttl must/,
      takes: optional(isMilliseconds),
      call: (value) => Reflect.apply(store.set, store, ['key', data, value]),
    },
    {
      name: 'the old data of a swap',
      says: /^(old|data) must/,
      takes: missing,
      call: (value) => Reflect.apply(store.compareAndSwap, store, [newKey(), value, data]),
      promises: true,
    },
    {
      name: 'the new data of a swap',
      says: /^data must/,
      takes: never,
      call: (value) => Reflect.apply(store.compareAndSwap, store, ['swapped', undefined, value]),
      promises: true,
    },
  ]
}
