/** Values that no argument of ours takes, some of which fight back when they are looked at. */
import { inspect } from 'node:util'
import fc from 'fast-check'

/** Thrown by values that fight back. */
export class Fight extends Error {}

function fight(): never {
  throw new Fight('do not look at me')
}

/** Throws whatever is done with it. */
function fightingProxy(): unknown {
  return new Proxy({}, new Proxy({}, { get: () => fight }))
}

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function cyclic(): unknown {
  const value: Record<string, unknown> = {}
  value.self = value
  return value
}

/** By name, so that a failing test says which. */
export const HOSTILE_VALUES: readonly (readonly [name: string, value: unknown])[] = [
  ['undefined', undefined],
  ['null', null],
  ['true', true],
  ['NaN', Number.NaN],
  ['-1', -1],
  ['1.5', 1.5],
  ['a denormal', 5e-324],
  ['1e308', 1e308],
  ['2^53', 2 ** 53],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['a bigint', 1n],
  ['a huge bigint', 10n ** 5000n],
  ['a symbol', Symbol('s')],
  ['a symbol with a huge name', Symbol('s'.repeat(100_000))],
  ['an empty text', ''],
  ['a number as text', '1'],
  ['a huge text', '1/s'.repeat(1_000_000)],
  ['a huge text of one letter', 'a'.repeat(1_000_000)],
  ['a huge text of blanks', `1${' '.repeat(100_000)}x`],
  ['a huge text of colons', ':'.repeat(200_000)],
  ['a function', () => 1],
  ['a function with two lines for a name', Object.defineProperty(() => 1, 'name', { value: 'a\nb' })],
  ['a class', class Fake {}],
  ['an object', {}],
  ['an object without a prototype', Object.create(null)],
  ['a cyclic object', cyclic()],
  ['an object of many keys', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`key ${index}`, index]))],
  ['an object whose texts throw', { toString: fight, valueOf: fight, toJSON: fight, [Symbol.toPrimitive]: fight }],
  ['an object that refuses to be inspected', { [inspect.custom]: fight }],
  ['an object without a tag', Object.defineProperty({}, Symbol.toStringTag, { get: fight })],
  ['an empty array', []],
  ['an array of undefined', [undefined]],
  ['a sparse array', new Array(3)],
  ['the longest array', new Array(2 ** 32 - 1)],
  ['a boxed number', new Number(1)],
  ['a boxed text', new String('1')],
  ['an invalid date', new Date(Number.NaN)],
  ['a map', new Map([['a', 1]])],
  ['bytes', new Uint8Array(10_000)],
  ['a promise that nobody awaited', Promise.resolve(1)],
  ['an error of many lines', new Error('one\ntwo\nthree')],
  ['an error without a stack', Object.defineProperty(new Error('stack'), 'stack', { get: fight })],
  ['an error with a symbol for a name', Object.assign(new Error('name'), { name: Symbol('name') })],
  ['a proxy that throws', fightingProxy()],
  ['a proxy of nothing', revoked({})],
  ['a proxy of no array', revoked([])],
  ['an object with such a prototype', Object.create(Object(fightingProxy()))],
]

/** Anything at all, but for what fights back: the fuzz looks at it too. */
export const anything = fc.oneof(
  fc.anything({
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.double(),
  fc.string({ unit: 'binary' }),
)
