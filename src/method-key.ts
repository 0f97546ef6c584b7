/**
 * The default key of a decorated method: `'Api.call'`, named after the class that declares the method, also for instances of subclasses.
 * Standard (TC39) decorators and TypeScript's legacy ones get different arguments.
 */
import { named } from './arguments.ts'
import type { LegacyMethod } from './legacy-method.ts'

/**
 * A function that returns the key. For instance methods the key is known only once an instance exists.
 * @param decorated the wrapper that replaced the method
 * @param shared true if other processes may spend from the same key, so that the class must state its name
 * @returns throws a TypeError where no class with a name is known to declare the method
 * @throws TypeError for a private method that is not static, and for a symbol without a description
 */
export function methodKey(context: ClassMethodDecoratorContext, decorated: unknown, shared: boolean): () => string {
  const { name, static: isStatic } = context
  const method = methodName(context)
  let declaring: unknown
  context.addInitializer(function (this: unknown) {
    declaring ??= isStatic ? this : declaringClass(this, name, decorated)
  })
  // Computed on each call, because some compilers name a class only after its static methods were decorated.
  return () => `${className(declaring, method, shared)}.${method}`
}

/**
 * As `methodKey`. The class is known from the start, because a legacy decorator gets its prototype.
 * @returns throws a TypeError where the class has no name
 * @throws TypeError for a symbol without a description
 */
export function legacyMethodKey({ target, name }: LegacyMethod, shared: boolean): () => string {
  const method = methodName({ name, private: false, static: false })
  const declaring: unknown = typeof target === 'function' ? target : target.constructor
  // Computed on each call, because older targets set static fields, such as the class's name, after methods are decorated.
  return () => `${className(declaring, method, shared)}.${method}`
}

function methodName({
  name,
  private: isPrivate,
  static: isStatic,
}: Pick<ClassMethodDecoratorContext, 'name' | 'private' | 'static'>): string {
  // The class that declares a private method cannot be found from an instance.
  if (isPrivate && !isStatic) throw keyless(`the private method ${String(name)}`)
  if (typeof name === 'string') return name
  if (!name.description) throw keyless(`a method named by ${named(name)}`)
  return `[${name.description}]`
}

/** The first class up the prototype chain whose own method is the decorated one. */
function declaringClass(instance: unknown, name: string | symbol, decorated: unknown): unknown {
  for (let prototype = prototypeOf(instance); prototype !== null; prototype = prototypeOf(prototype)) {
    if (Object.getOwnPropertyDescriptor(prototype, name)?.value === decorated) return prototype.constructor
  }
  return undefined
}

function prototypeOf(value: unknown): object | null {
  return Object.getPrototypeOf(value)
}

function className(declaring: unknown, method: string, shared: boolean): string {
  const name: unknown = typeof declaring === 'function' ? declaring.name : undefined
  if (shared && typeof declaring === 'function' && !statesName(declaring)) {
    throw new TypeError(
      `There is no default key for ${method} of the class ${named(name)} on a store that other processes may share, where another may have its name: give throttled a key, or the class a static name`,
    )
  }
  if (typeof name === 'string' && name !== '') return name
  throw keyless(`${method}, whose class has no name or no instance yet, or that another decorator has replaced,`)
}

/** True if the class states its name as a static field or getter. The name that the language or a bundler gives is not writable. */
function statesName(declaring: object): boolean {
  const property = Object.getOwnPropertyDescriptor(declaring, 'name')
  return property?.writable === true || property?.get !== undefined
}

function keyless(what: string): TypeError {
  return new TypeError(`There is no default key for ${what}: give throttled a key`)
}
