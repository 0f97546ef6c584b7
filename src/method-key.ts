/** The key of a decorated method where none is given: `'Api.call'`, after the class that declares it, also in its subclasses. */
import { named } from './arguments.ts'

/**
 * Answers the key once the class is known: of a static method when it is declared, of others when the first instance is made.
 * @param decorated what stands in the place of the method
 * @throws TypeError now for a private method or a nameless symbol, and then for an anonymous class
 */
export function methodKey(context: ClassMethodDecoratorContext, decorated: unknown): () => string {
  const method = methodName(context)
  let key: string | undefined
  context.addInitializer(function (this: unknown) {
    key ??= `${className(this, context, decorated)}.${method}`
  })
  return () => {
    if (key === undefined) throw new TypeError(`${method} has no key before its class has an instance: ${ADVICE}`)
    return key
  }
}

const ADVICE = 'give throttled a key'

function methodName({ name, private: isPrivate, static: isStatic }: ClassMethodDecoratorContext): string {
  // Nothing leads from an instance to the class that declares its private methods.
  if (isPrivate && !isStatic) throw new TypeError(`The private method ${named(name)} has no key of its own: ${ADVICE}`)
  if (typeof name === 'string') return name
  if (!name.description) throw new TypeError(`A method whose name is ${named(name)} has no key of its own: ${ADVICE}`)
  return `[${name.description}]`
}

function className(
  owner: unknown,
  { name, static: isStatic }: ClassMethodDecoratorContext,
  decorated: unknown,
): string {
  const declaring = isStatic ? owner : declaringClass(owner, name, decorated)
  if (typeof declaring === 'function' && typeof declaring.name === 'string' && declaring.name !== '') {
    return declaring.name
  }
  throw new TypeError(
    `No class with a name was found that declares ${named(name)} (another decorator may stand before): ${ADVICE}`,
  )
}

/** The class nearest to the instance whose own method is this very one. */
function declaringClass(instance: unknown, name: string | symbol, decorated: unknown): unknown {
  for (let prototype = prototypeOf(instance); prototype !== null; prototype = prototypeOf(prototype)) {
    if (Object.getOwnPropertyDescriptor(prototype, name)?.value === decorated) return prototype.constructor
  }
  return undefined
}

function prototypeOf(value: unknown): object | null {
  return Object.getPrototypeOf(value)
}
