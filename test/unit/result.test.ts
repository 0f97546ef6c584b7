import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { DictionaryStore, GcraLimiter, Quota, RateLimitResult, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { errorSaying } from '../support/error-saying.ts'

const fields = {
  limited: true,
  limit: 5,
  remaining: 0,
  resetAfter: 1000.25,
  retryAfter: 200.001,
  quota: Quota.perSecond(5),
}

test('a result holds what it is given', () => {
  const given = { ...fields, nextAfter: 0.5, spent: 2 }
  expect({ ...new RateLimitResult(given) }).toStrictEqual({ ...given, degraded: false, source: 'store' })
})

test('nothing was spent, unless that is told', () => {
  expect(new RateLimitResult(fields).spent).toBe(0)
})

test('until one unit more could be spent it takes as long as until all is available, unless that is told', () => {
  expect(new RateLimitResult(fields).nextAfter).toBe(fields.resetAfter)
})

test('the only layer of a single quota is the result itself, which does not show it', () => {
  const result = new RateLimitResult(fields)
  expect(result.layers).toHaveLength(1)
  expect(result.layers[0]).toBe(result)
  expect(inspect(result)).not.toContain('layers')
  expect(JSON.parse(JSON.stringify(result))).not.toHaveProperty('layers')
})

test('the layers of several quotas are shown, and cannot be changed', () => {
  const layers = [new RateLimitResult(fields), new RateLimitResult({ ...fields, limited: false, retryAfter: 0 })]
  const result = new RateLimitResult({ ...fields, layers })
  expect(result.layers).toEqual(layers)
  expect(Object.isFrozen(result.layers)).toBe(true)
  expect(JSON.parse(JSON.stringify(result)).layers).toHaveLength(2)
})

test.each([false, true])(
  'what several quotas answer is what the constructor makes of their answers, shadow mode: %o',
  (shadow) => {
    const throttle = new Throttle({
      limiter: new GcraLimiter({ store: new DictionaryStore({ clock: () => 0 }) }),
      rate: [Quota.perSecond(2), Quota.perDay(9)],
      shadow,
    })
    for (const quantity of [1, 3]) {
      const result = throttle.checkSync('key', quantity)
      const { layers } = result
      assert.deepStrictEqual(result, new RateLimitResult({ ...result, layers, wouldLimit: result.wouldLimit }))
      expect(layers.map(({ remaining }) => remaining)).toEqual([1, 8])
      expect(Object.getPrototypeOf(result)).toBe(RateLimitResult.prototype)
      expect(result.constructor).toBe(RateLimitResult)
      expect(inspect(result)).toMatch(/^RateLimitResult \{/)
      expect(Object.isFrozen(layers)).toBe(true)
      expect(JSON.parse(JSON.stringify(result)).layers).toHaveLength(2)
    }
  },
)

describe('resetsAt and retryAt', () => {
  const result = new RateLimitResult(fields)

  test('are dates, rounded up to a whole millisecond', () => {
    expect(result.resetsAt(1_700_000_000_000)).toEqual(new Date(1_700_000_001_001))
    expect(result.retryAt(new Date(1_700_000_000_000))).toEqual(new Date(1_700_000_000_201))
    expect(new RateLimitResult({ ...fields, retryAfter: 200 }).retryAt(0)).toEqual(new Date(200))
  })

  test('count from now by default', () => {
    const before = Date.now()
    const at = result.retryAt().getTime()
    expect(at).toBeGreaterThanOrEqual(before + 201)
    expect(at).toBeLessThanOrEqual(Date.now() + 201)
  })

  test('are an Invalid Date for never', () => {
    expect(new RateLimitResult({ ...fields, retryAfter: Number.POSITIVE_INFINITY }).retryAt().getTime()).toBeNaN()
  })

  test('refuse what is no point in time', () => {
    expect(() => result.resetsAt(Number.NaN)).toThrow(RangeError)
    expect(() => result.retryAt(new Date('never'))).toThrow(RangeError)
    // @ts-expect-error
    expect(() => result.retryAt('2030-01-01')).toThrow(TypeError)
  })
})

test.each([
  [undefined, 'TypeError', 'must be an object'],
  [{ ...fields, limited: 'no' }, 'TypeError', "limited must be a boolean, got 'no'"],
  [{ ...fields, limit: '5' }, 'TypeError', "limit must be a number, got '5'"],
  [{ ...fields, remaining: -1 }, 'RangeError', 'remaining must be at least 0, got -1'],
  [{ ...fields, resetAfter: Number.NaN }, 'RangeError', 'resetAfter must be at least 0, got NaN'],
  [{ ...fields, nextAfter: '1' }, 'TypeError', "nextAfter must be a number, got '1'"],
  [{ ...fields, nextAfter: -0.5 }, 'RangeError', 'nextAfter must be at least 0, got -0.5'],
  [{ ...fields, retryAfter: undefined }, 'TypeError', 'retryAfter must be a number, got undefined'],
  [{ ...fields, quota: { ...fields.quota } }, 'TypeError', 'quota must be a Quota'],
  [{ ...fields, retryafter: 1 }, 'TypeError', "must not hold 'retryafter': did you mean retryAfter?"],
  [{ ...fields, somethingElse: 1 }, 'TypeError', "must not hold 'somethingElse'; it takes limited, "],
])('of %o no result is made', (wrong, name, message) => {
  // @ts-expect-error
  expect(() => new RateLimitResult(wrong)).toThrow(errorSaying(name, message))
})
