/** Methods as legacy decorators get them: those of TypeScript's `experimentalDecorators`, which NestJS uses. */
import { named } from './arguments.ts'

/** The arguments of a legacy decorator of a method, as `experimentalDecorators` of TypeScript passes them. */
export interface LegacyMethod {
  /** The class of a static method; otherwise the prototype of the class that declares the method. */
  readonly target: object
  readonly name: string | symbol
  readonly descriptor: PropertyDescriptor
  readonly value: (this: unknown, ...args: unknown[]) => unknown
}

/** True for the second argument of a legacy decorator. A standard decorator gets an object instead, and a wrapped function nothing. */
export function isMethodName(name: unknown): name is string | symbol {
  return typeof name === 'string' || typeof name === 'symbol'
}

/** @throws TypeError if the legacy decorator stands on something else than a method. */
export function legacyMethodOf(target: unknown, name: string | symbol, descriptor: unknown): LegacyMethod {
  const isTarget = typeof target === 'function' || (typeof target === 'object' && target !== null)
  if (isTarget && isDescriptor(descriptor) && isMethod(descriptor.value)) {
    return { target, name, descriptor, value: descriptor.value }
  }
  throw new TypeError(`throttled decorates methods, got something else that is named ${named(name)}`)
}

function isDescriptor(descriptor: unknown): descriptor is PropertyDescriptor {
  return typeof descriptor === 'object' && descriptor !== null && Object.hasOwn(descriptor, 'value')
}

function isMethod(value: unknown): value is LegacyMethod['value'] {
  return typeof value === 'function'
}

/** The members that `reflect-metadata` adds to `Reflect`. */
interface Metadata {
  getOwnMetadataKeys(target: object): unknown[]
  getOwnMetadata(key: unknown, target: object): unknown
  defineMetadata(key: unknown, value: unknown, target: object): void
}

/** Copies what decorators below have stored of the method, such as the path of a route, if `reflect-metadata` is loaded. */
export function copyMetadata(from: object, to: object): void {
  if (!hasMetadata(Reflect)) return
  for (const key of Reflect.getOwnMetadataKeys(from)) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, from), to)
  }
}

function hasMetadata(reflect: object): reflect is Metadata {
  return 'getOwnMetadataKeys' in reflect && 'getOwnMetadata' in reflect && 'defineMetadata' in reflect
}
