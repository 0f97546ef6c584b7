import fc from 'fast-check'
import { LimitData } from 'onrush'
import { describe, expect, test } from 'vitest'
import { errorSaying } from '../support/error-saying.ts'

const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
const anyData = fc
  .record(
    { used: finite, remaining: finite, createdAt: finite, time: finite, history: fc.array(finite, { maxLength: 5 }) },
    { requiredKeys: ['used', 'remaining'] },
  )
  .map((fields) => new LimitData(fields))

test('a record holds what it is given, and shows no more', () => {
  expect({ ...new LimitData({ used: 1, remaining: 2, createdAt: 3 }) }).toStrictEqual({
    used: 1,
    remaining: 2,
    createdAt: 3,
  })
  expect({ ...new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6] }) }).toStrictEqual({
    used: 1,
    remaining: 2,
    createdAt: 3,
    time: 4,
    history: [5, 6],
  })
})

test('a record counts from now when it is not told since when', () => {
  const before = Date.now() * 1000
  const { createdAt } = new LimitData({ used: 0, remaining: 1 })
  expect(createdAt).toBeGreaterThanOrEqual(before)
  expect(createdAt).toBeLessThanOrEqual(Date.now() * 1000)
})

test('a record is frozen, and its history is its own', () => {
  const history = [1, 2]
  const data = new LimitData({ used: 0, remaining: 1, history })
  history.push(3)
  expect(data.history).toEqual([1, 2])
  expect([data, data.history].map(Object.isFrozen)).toEqual([true, true])
})

test('a copy has some fields replaced', () => {
  const data = new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5] })
  const copy = data.copyWith({ used: 9, time: undefined, history: undefined })
  expect(copy).toEqual(new LimitData({ used: 9, remaining: 2, createdAt: 3 }))
  expect(data.used).toBe(1)
})

test('a copy is refused a name that it does not know by an error that speaks of changes', () => {
  const data = new LimitData({ used: 1, remaining: 2 })
  // @ts-expect-error: no such field.
  expect(() => data.copyWith({ remainig: 1 })).toThrow(
    new TypeError("changes must not hold 'remainig': did you mean remaining?"),
  )
})

test('a record comes back from its JSON as it was', () => {
  fc.assert(
    fc.property(anyData, (data) => {
      expect(LimitData.fromJSON(JSON.stringify(data))).toStrictEqual(data)
      expect(LimitData.fromJSON(data.toJSON())).toStrictEqual(data)
      expect(LimitData.fromJSON(JSON.stringify(data)).equals(data)).toBe(true)
    }),
  )
})

test('equal records have equal texts, in whatever order they were given their fields', () => {
  const one = new LimitData({ history: [1], time: 2, createdAt: 3, remaining: 4, used: -0 })
  const other = new LimitData({ used: 0, remaining: 4, createdAt: 3, time: 2, history: [1] })
  expect(JSON.stringify(one)).toBe(JSON.stringify(other))
})

describe('records are equal', () => {
  const data = new LimitData({ used: 1, remaining: 2, createdAt: 3, time: 4, history: [5, 6] })

  test('when all fields are', () => {
    expect(data.equals(data.copyWith({}))).toBe(true)
  })

  test.each([
    { used: 9 },
    { remaining: 9 },
    { createdAt: 9 },
    { time: 9 },
    { time: undefined },
    { history: [5, 9] },
    { history: [5] },
    { history: [5, 6, 7] },
    { history: undefined },
  ])('but not with %o', (changes) => {
    expect(data.equals(data.copyWith(changes))).toBe(false)
    expect(data.copyWith(changes).equals(data)).toBe(false)
  })

  test('but not to nothing', () => {
    expect(data.equals(undefined)).toBe(false)
  })
})

describe('what is no record', () => {
  test.each([
    [{ used: Number.NaN, remaining: 1 }, 'used must be finite, got NaN'],
    [{ used: 1, remaining: Number.POSITIVE_INFINITY }, 'remaining must be finite, got Infinity'],
    [{ used: 1, remaining: 1, createdAt: Number.NaN }, 'createdAt must be finite'],
    [{ used: 1, remaining: 1, time: Number.NaN }, 'time must be finite'],
    [{ used: 1, remaining: 1, history: [0, Number.NaN] }, 'history[1] must be finite, got NaN'],
  ])('is a RangeError where a number is not finite: %o', (fields, message) => {
    expect(() => new LimitData(fields)).toThrow(errorSaying('RangeError', message))
  })

  test.each([
    [undefined, 'must be an object, got undefined'],
    [{ used: 1 }, 'remaining must be a number, got undefined'],
    [{ used: '1', remaining: 1 }, "used must be a number, got '1'"],
    [{ used: 1, remaining: 1, history: '12' }, "history must be an array of numbers, got '12'"],
    [{ used: 1, remaining: 1, history: new Array(1) }, 'history[0] must be a number, got undefined'],
  ])('is a TypeError where a type is wrong: %o', (fields, message) => {
    // @ts-expect-error
    expect(() => new LimitData(fields)).toThrow(errorSaying('TypeError', message))
  })

  test.each(['', '{', 'null', '[]', '5', '{"used":1e999,"remaining":0,"createdAt":0}'])(
    'is a RangeError where it is the text %j',
    (text) => {
      expect(() => LimitData.fromJSON(text)).toThrow(RangeError)
    },
  )

  test('is not read from an object without its fields', () => {
    expect(() => LimitData.fromJSON({ used: 1, remaining: 1 })).toThrow('createdAt must be a number, got undefined')
    // @ts-expect-error
    expect(() => LimitData.fromJSON(5)).toThrow(TypeError)
  })
})
