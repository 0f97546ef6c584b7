import { inspect } from 'node:util'
import {
  AtomicOperationError,
  DataChangedInStoreError,
  InvalidStoreUrlError,
  LimitData,
  MismatchedDataError,
  OnrushError,
  PeerDependencyError,
  PermitLostError,
  Quota,
  RateLimitResult,
  ReservationSettledError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
  ThrottleExceededError,
  UnsupportedServerError,
} from 'onrush'
import { describe, expect, test } from 'vitest'

const result = new RateLimitResult({
  limited: true,
  limit: 5,
  remaining: 0,
  resetAfter: 1000,
  retryAfter: 200.5,
  quota: Quota.perSecond(5),
})

describe.each([
  ['OnrushError', 'ONRUSH_ERROR', new OnrushError('x'), []],
  ['AtomicOperationError', 'ONRUSH_ATOMIC_OPERATION', new AtomicOperationError('x'), []],
  [
    'MismatchedDataError',
    'ONRUSH_MISMATCHED_DATA',
    new MismatchedDataError(undefined, undefined),
    [AtomicOperationError],
  ],
  ['DataChangedInStoreError', 'ONRUSH_DATA_CHANGED_IN_STORE', new DataChangedInStoreError('x'), [AtomicOperationError]],
  ['StoreError', 'ONRUSH_STORE', new StoreError('x'), []],
  ['InvalidStoreUrlError', 'ONRUSH_INVALID_STORE_URL', new InvalidStoreUrlError('x', 'y'), [StoreError]],
  ['StoreUnavailableError', 'ONRUSH_STORE_UNAVAILABLE', new StoreUnavailableError('x'), [StoreError]],
  ['UnsupportedServerError', 'ONRUSH_UNSUPPORTED_SERVER', new UnsupportedServerError('x'), [StoreError]],
  ['StoreTimeoutError', 'ONRUSH_STORE_TIMEOUT', new StoreTimeoutError(10, true), [StoreError]],
  ['PeerDependencyError', 'ONRUSH_PEER_DEPENDENCY', new PeerDependencyError('x', undefined, 'y'), []],
  ['ReservationSettledError', 'ONRUSH_RESERVATION_SETTLED', new ReservationSettledError('x'), []],
  ['PermitLostError', 'ONRUSH_PERMIT_LOST', new PermitLostError('x'), []],
  ['ThrottleExceededError', 'ONRUSH_THROTTLE_EXCEEDED', new ThrottleExceededError(result), []],
] as const)('%s', (name, code, error, parents) => {
  test('has its code, and its name in its stack', () => {
    expect(error.code).toBe(code)
    expect(error.name).toBe(name)
    expect(error.stack).toMatch(new RegExp(`^${name}: `))
  })

  test('links to the section of its code, where it is shown whole too', () => {
    const link = `https://github.com/onrush/onrush/blob/HEAD/docs/errors.md#${code.toLowerCase()}`
    expect(error.help).toBe(link)
    expect(inspect(error)).toContain(`help: '${link}'`)
  })

  test('is caught with those it belongs to', () => {
    for (const parent of [Error, OnrushError, ...parents]) expect(error).toBeInstanceOf(parent)
  })
})

test('an error keeps what caused it', () => {
  const cause = new Error('connection refused')
  expect(new StoreUnavailableError('Redis is away', { cause }).cause).toBe(cause)
})

test('a class of your own has its own name', () => {
  class MyStoreError extends StoreError {}
  expect(String(new MyStoreError('disk full'))).toBe('MyStoreError: disk full')
})

test('a mismatch tells what was expected and what was found', () => {
  const expected = new LimitData({ used: 1, remaining: 2, createdAt: 3 })
  const error = new MismatchedDataError(expected, undefined)
  expect([error.expected, error.actual]).toEqual([expected, undefined])
  expect(error.message).toContain('expected {"used":1,"remaining":2,"createdAt":3}, found nothing')
})

test('a timeout tells whether the check may have been counted', () => {
  expect(new StoreTimeoutError(250, true)).toMatchObject({
    sent: true,
    message: expect.stringContaining('may have been counted'),
  })
  expect(new StoreTimeoutError(250, false)).toMatchObject({
    sent: false,
    message: expect.stringContaining('nothing was counted'),
  })
})

test('an exceeded throttle tells when to come back, or that it is of no use', () => {
  expect(new ThrottleExceededError(result)).toMatchObject({ result, message: 'Limited by 5/1s: retry in 200.5 ms' })
  const never = new RateLimitResult({ ...result, retryAfter: Number.POSITIVE_INFINITY })
  expect(new ThrottleExceededError(never).message).toContain('more was asked for than its limit of 5 can ever allow')
})

test.each([
  ['redis://:secret@host:6379/0', 'redis://:***@host:6379/0'],
  ['redis://user:secret@host', 'redis://user:***@host'],
  ['redis://user:se/c?r#e@t@host', 'redis://user:***@host'],
  ['redis+cluster://user:secret@h1:1,user:secret@h2:2', 'redis+cluster://user:***@h2:2'],
  [' redis://user:secret@host', ' redis://user:***@host'],
  ['user:secret@host:6379', 'user:***@host:6379'],
  ['redis:/user:secret@host', 'redis:***@host'],
  ['redis://user:sec\nret@host', 'redis://user:***@host'],
  ['redis://host?password=secret&db=1', 'redis://host?password=***&db=1'],
  ['redis://host?db=1&sentinelPassword=secret', 'redis://host?db=1&sentinelPassword=***'],
  ['redis://user@host:6379/0', 'redis://user@host:6379/0'],
  ['redis+sentinel://h1:1,h2:2/mymaster/0', 'redis+sentinel://h1:1,h2:2/mymaster/0'],
])('of the URL %j an error shows %j', (url, shown) => {
  const error = new InvalidStoreUrlError(url, 'no such scheme')
  expect(error.url).toBe(shown)
  expect(error.message).toBe(`Invalid store URL ${JSON.stringify(shown)}: no such scheme`)
  expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain('secret')
})
