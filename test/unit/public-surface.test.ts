/** The names that users have. A name once here is not taken away or given another meaning; a new one is added on purpose. */
import { readFileSync } from 'node:fs'
import * as onrush from 'onrush'
import { expect, test } from 'vitest'

const VALUES = [
  ...[
    'Throttle',
    'Quota',
    'RateLimitResult',
    'LimitData',
    'Reservation',
    'checkAll',
    'reserveAll',
    'JointReservation',
    'throttled',
    'subscribe',
    'sleep',
  ],
  ...['BaseLimiter', 'AlgorithmLimiter', 'GcraLimiter', 'PeriodicLimiter', 'FixedWindowLimiter'],
  ...['MovingWindowLimiter', 'SlidingWindowCounterLimiter', 'ConcurrencyLimiter'],
  ...['BaseStore', 'DictionaryStore', 'TlruCacheStore', 'RedisStore', 'FailoverStore', 'storeFromUrl', 'registerStore'],
  ...['OnrushError', 'AtomicOperationError', 'MismatchedDataError', 'DataChangedInStoreError', 'StoreError'],
  ...[
    'InvalidStoreUrlError',
    'StoreUnavailableError',
    'StoreTimeoutError',
    'UnsupportedServerError',
    'ThrottleExceededError',
  ],
  ...['ReservationSettledError', 'PermitLostError', 'PeerDependencyError'],
]

const TYPES = [
  ...[
    'Rate',
    'ThrottleOptions',
    'ThrottleLayer',
    'CheckOptions',
    'ReserveOptions',
    'CheckAllSubject',
    'CheckAllOptions',
    'WaitOptions',
    'PermitOptions',
    'SleepOptions',
  ],
  ...[
    'QuotaOptions',
    'ConcurrentOptions',
    'Duration',
    'Clock',
    'RateLimitResultFields',
    'ResultSource',
    'LeaseOptions',
    'LimitDataFields',
    'Awaitable',
  ],
  ...['BlocksOptions', 'BlockOptions', 'BlockedOptions', 'BlockedKey', 'BlockEvent'],
  ...['Algorithm', 'LimiterOptions', 'GcraLimiterOptions', 'AlgorithmLimiterOptions'],
  ...[
    'DictionaryStoreOptions',
    'TlruCacheStoreOptions',
    'RedisStoreOptions',
    'FailoverStoreOptions',
    'BaseStoreOptions',
    'StoreClass',
  ],
  ...['BorrowedClient', 'RedisClientOptions', 'DenyCacheOptions', 'HashTag'],
  ...['ThrottledOptions', 'ThrottledFunction', 'Throttling'],
  ...[
    'Events',
    'BatchEvent',
    'DecisionEvent',
    'LeaseEvent',
    'ScriptEvent',
    'FailoverEvent',
    'FailoverChange',
    'FailoverState',
  ],
  'WarningEvent',
  ...['CalendarQuotaOptions', 'CalendarOptions', 'WeekOptions', 'CalendarPeriod', 'CalendarUnit'],
]

test('the package exports these values, and no others', () => {
  expect(Object.keys(onrush).sort()).toEqual(VALUES.toSorted())
})

test('the package exports these types, and no others', () => {
  const source = readFileSync(new URL('../../src/index.ts', import.meta.url), 'utf8')
  const types = [...source.matchAll(/^export (?<type>type )?\{(?<names>[^}]*)\}/gm)].flatMap(({ groups = {} }) =>
    (groups.names ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (groups.type !== undefined || name.startsWith('type ')))
      .map((name) => name.replace('type ', '')),
  )
  expect(types.sort()).toEqual(TYPES.toSorted())
})
