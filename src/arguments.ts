/**
 * Checks of users' arguments, made before anything is sent or stored.
 * A wrong JavaScript type is a `TypeError`, a wrong value a `RangeError`; both name the value and what was expected.
 */
import { inspected } from './inspect.ts'
import { byteLength } from './runtime.ts'
import { inspectedWithoutSecrets, textWithoutSecrets } from './secrets.ts'

/** The longest key, in bytes of UTF-8. */
export const MAXIMUM_KEY_BYTES = 65_536

/** The longest text by which an error names a value. */
const LONGEST_NAME = 200

/** A value as text for an error: short, on one line and without passwords. Never throws, even if the value throws when inspected. */
export function named(value: unknown): string {
  const text = described(typeof value === 'string' ? textWithoutSecrets(value) : value).replace(/\s*\n\s*/g, ' ')
  const short = text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text
  return typeof value === 'object' ? inspectedWithoutSecrets(short) : short
}

/** A user's text for an error: quoted, and cut if long. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME)}…` : text)
}

function described(value: unknown): string {
  try {
    return inspected(value)
  } catch {
    return `a value of type ${typeof value} that cannot be shown`
  }
}

/**
 * The error for a value that is not an instance of an onrush class.
 * @param expected the sentence that says what was expected, such as `store must be a store`
 */
export function notInstance(expected: string, { name }: { readonly name: string }, value: unknown): TypeError {
  const error = `${expected}, got ${named(value)}`
  if (!isOfClassNamed(name, value)) return new TypeError(error)
  return new TypeError(
    `${error}, which is of another copy of onrush: see what is installed with \`npm ls onrush\`, and make all of one copy`,
  )
}

function isOfClassNamed(name: string, value: unknown): boolean {
  try {
    for (let at = value; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at)) {
      if (Object.hasOwn(at, 'constructor') && Reflect.get(at, 'constructor')?.name === name) return true
    }
  } catch {
    // A proxy that throws when inspected is not an onrush object.
  }
  return false
}

// Runs in every check, so the function is kept small enough for V8 to inline; another function builds the error.
export function checkKey(key: unknown): asserts key is string {
  // Most keys need no counting of bytes, because a UTF-16 unit takes at most three bytes of UTF-8.
  if (typeof key !== 'string' || key.length === 0 || key.length * 3 > MAXIMUM_KEY_BYTES) checkUnusualKey(key)
}

function checkUnusualKey(key: unknown): asserts key is string {
  if (typeof key !== 'string') throw new TypeError(`key must be a string, got ${named(key)}`)
  if (key.length === 0) throw new RangeError(`key must not be empty, got ''`)
  if (byteLength(key) > MAXIMUM_KEY_BYTES) {
    throw new RangeError(
      `key must be at most ${MAXIMUM_KEY_BYTES} bytes of UTF-8, got ${byteLength(key)}: ${named(key)}`,
    )
  }
}

export function checkQuantity(quantity: unknown): asserts quantity is number {
  if (!Number.isSafeInteger(quantity) || Number(quantity) < 0) throw notInteger('quantity', quantity, 0)
}

/** Throws unless `value` is a safe integer of at least `least`. */
export function checkInteger(name: string, value: unknown, least: number): asserts value is number {
  if (!Number.isSafeInteger(value) || Number(value) < least) throw notInteger(name, value, least)
}

function notInteger(name: string, value: unknown, least: number): Error {
  const expected = least === 0 ? 'a non-negative safe integer' : `a safe integer of at least ${least}`
  const message = `${name} must be ${expected}, got ${named(value)}`
  return typeof value === 'number' ? new RangeError(message) : new TypeError(message)
}

/** The most entries of a cache: a `Map` holds no more. */
const MAXIMUM_ENTRIES = 2 ** 24

/** Throws unless `value` is a possible size of a cache, from 1 to 2^24. */
export function checkSize(name: string, value: unknown): asserts value is number {
  checkInteger(name, value, 1)
  if (value > MAXIMUM_ENTRIES) throw new RangeError(`${name} must be at most ${MAXIMUM_ENTRIES}, got ${value}`)
}

/**
 * The items of an array; a hole is an `undefined` item.
 * @throws TypeError if `value` is not an array, RangeError if it holds more than `most` items.
 */
export function itemsOf(name: string, value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} must be an array, got ${named(value)}`)
  if (value.length > most) throw new RangeError(`${name} must hold at most ${most}, got ${value.length}`)
  return Array.from(value)
}

/** Throws unless `value` is an object that can hold options. */
export function checkOptions(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} must be an object, got ${named(value)}`)
  }
}

export function checkText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${named(value)}`)
}

export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function, got ${named(value)}`)
}

export function checkBoolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be a boolean, got ${named(value)}`)
}

export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw new TypeError(`signal must be an AbortSignal, got ${named(signal)}`)
}
