/** A place where a caller's value comes in: what it takes, and how to put a value there without a type in the way. */
import { inspect, types } from 'node:util'

export interface Entrance {
  readonly name: string
  /** The text that an error must contain. */
  readonly says: RegExp
  readonly takes: (value: unknown) => boolean
  readonly call: (value: unknown) => unknown
  /** It answers with a promise, whatever it is given. */
  readonly promises?: boolean
}

export function never(): boolean {
  return false
}

export function optional(takes: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === undefined || takes(value)
}

export const missing = optional(never)

export function isKey(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 65_536
}

export function isQuantity(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

export function isPositive(value: unknown): boolean {
  return isQuantity(value) && value !== 0
}

export function isMilliseconds(value: unknown): boolean {
  return typeof value === 'number' && value > 0 && Number.isFinite(value)
}

/** An object of which no property counts. */
export function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !isRevoked(value) && !Array.isArray(value)
}

/** No item, or one that is undefined. */
export function isAtMostUndefined(value: unknown): boolean {
  return (
    isEmptyArray(value) || (!isRevoked(value) && Array.isArray(value) && value.length === 1 && value[0] === undefined)
  )
}

export function isEmptyArray(value: unknown): boolean {
  return !isRevoked(value) && Array.isArray(value) && value.length === 0
}

function isRevoked(value: unknown): boolean {
  return types.isProxy(value) && inspect(value) === '<Revoked Proxy>'
}

export function made(Class: new (...args: never[]) => unknown, ...args: unknown[]): unknown {
  return Reflect.construct(Class, args)
}
