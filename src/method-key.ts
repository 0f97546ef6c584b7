/** The key of a decorated method where none is given: `'Api.call'`, after the class that declares it, also in its subclasses. */
import { named } from './arguments.ts'

/**
 * Answers the key, from the first instance on; of a static method at once.
 * @param decorated what stands in the place of the method
 * @param shared whether others may spend from the same key: the class must then state its name
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
  // Not before it is asked for: some compilers name a class only when its static methods are decorated.
  return () => `${className(declaring, method, shared)}.${method}`
}

function methodName({ name, private: isPrivate, static: isStatic }: ClassMethodDecoratorContext): string {
  // Nothing leads from an instance to the class that declares its private methods.
  if (isPrivate && !isStatic) throw keyless(`the private method ${String(name)}`)
  if (typeof name === 'string') return name
  if (!name.description) throw keyless(`a method named by ${named(name)}`)
  return `[${name.description}]`
}

/** The class nearest to the instance whose method is this very one. */
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

/** What the language or a bundler calls a class cannot be written; a field can, and else there is a getter. */
function statesName(declaring: object): boolean {
  const property = Object.getOwnPropertyDescriptor(declaring, 'name')
  return property?.writable === true || property?.get !== undefined
}

function keyless(what: string): TypeError {
  return new TypeError(`There is no default key for ${what}: give throttled a key`)
}
