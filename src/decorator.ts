/** Functions and methods that run only when a throttle lets them. */
import { checkFunction, checkKey, checkQuantity, named, notInstance } from './arguments.ts'
import { ThrottleExceededError } from './errors.ts'
import { copyMetadata, isMethodName, type LegacyMethod, legacyMethodOf } from './legacy-method.ts'
import { legacyMethodKey, methodKey } from './method-key.ts'
import { checkOptionNames, optionNames } from './option-names.ts'
import type { RateLimitResult } from './result.ts'
import { sleep } from './sleep.ts'
import { Throttle } from './throttle.ts'

/** The key whose quota the calls of a wrapped function spend, and the units that each call spends. */
export interface ThrottledOptions<KeyArgs extends unknown[] = unknown[]> {
  /**
   * The key whose quota a call spends: a text, or a function of the call's arguments, called with its `this`.
   * Default, on stores in this process: the function's name; of a method `'Api.call'`, after the class that declares it.
   * On stores that other processes may share, names that a minifier chose would meet those of other programs: there it
   * must be given, or the class of the method must state a `static name`.
   */
  readonly key?: string | ((...args: KeyArgs) => string) | undefined
  /** Units that each call spends: a non-negative safe integer. Default 1. */
  readonly quantity?: number | undefined
}

const OPTIONS = optionNames<ThrottledOptions>({ key: true, quantity: true })

/** A function with the arguments, the `this`, the name and the length of the one it wraps. */
export interface ThrottledFunction<This, Args extends unknown[], Result> {
  /** Rejects with a `ThrottleExceededError` when limited; the function has then not been called. */
  (this: This, ...args: Args): Promise<Awaited<Result>>
  /**
   * Waits its turn, as `throttle.acquire` does (or, for permits, in their queue), until the call may run. Rejects with a `ThrottleExceededError` at once when
   * it never can. An object is given to it as `sleepAndRetry.call(object, …)`.
   */
  sleepAndRetry(...args: Args): Promise<Awaited<Result>>
}

/** Wraps a function, or decorates a method that returns a promise or nothing. */
export interface Throttling<KeyArgs extends unknown[]> {
  /** As a decorator of a method. The method must return a promise or nothing, because the decorated one returns a promise. */
  <Method extends (this: never, ...args: never[]) => unknown>(
    method: Method &
      ([Parameters<Method>, () => Promise<Awaited<ReturnType<Method>>>] extends [
        [...KeyArgs, ...unknown[]],
        () => ReturnType<Method>,
      ]
        ? unknown
        : never),
    context: ClassMethodDecoratorContext,
  ): Method
  /**
   * As a decorator of a method under TypeScript's `experimentalDecorators`, as in NestJS. Metadata that decorators below have put on the
   * method stays.
   */
  <Method extends (this: never, ...args: never[]) => unknown>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method> &
      ([Parameters<Method>, () => Promise<Awaited<ReturnType<Method>>>] extends [
        [...KeyArgs, ...unknown[]],
        () => ReturnType<Method>,
      ]
        ? unknown
        : never),
  ): TypedPropertyDescriptor<Method>
  /** As a wrapper of a function. */
  <This, Args extends [...KeyArgs, ...unknown[]], Result>(
    fn: (this: This, ...args: Args) => Result,
  ): ThrottledFunction<This, Args, Result>
}

type AnyMethod = (this: never, ...args: never[]) => unknown

/**
 * Makes a wrapper of functions that is also a decorator of methods, standard (TC39) or legacy (`experimentalDecorators`): each call first
 * spends from a quota. On a throttle with a `ConcurrencyLimiter` each call holds a permit until the function has returned, or its promise
 * has settled.
 * @returns throws a TypeError for what is no function or method, and where no key is given for a function without a name or
 * on a store that other processes may share
 * @throws TypeError or RangeError for wrong options
 */
export function throttled<KeyArgs extends unknown[] = unknown[]>(
  throttle: Throttle,
  options: ThrottledOptions<KeyArgs> = {},
): Throttling<KeyArgs> {
  if (!(throttle instanceof Throttle)) throw notInstance('throttle must be a Throttle', Throttle, throttle)
  checkOptionNames('options of throttled', options, OPTIONS)
  const { key, quantity = 1 } = options
  if (typeof key !== 'function' && key !== undefined) checkKey(key)
  checkQuantity(quantity)

  function wrap<Method extends AnyMethod>(method: Method, context: ClassMethodDecoratorContext): Method
  function wrap<Method extends AnyMethod>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): TypedPropertyDescriptor<Method>
  function wrap<This, Args extends [...KeyArgs, ...unknown[]], Result>(
    fn: (this: This, ...args: Args) => Result,
  ): ThrottledFunction<This, Args, Result>
  function wrap(fn: unknown, context?: unknown, descriptor?: unknown): unknown {
    if (isMethodName(context)) {
      const method = legacyMethodOf(fn, context, descriptor)
      const value = wrapped(method.value, method)
      copyMetadata(method.value, value)
      return { ...method.descriptor, value }
    }
    checkIsFunction(fn)
    return wrapped(fn, isDecoratorContext(context) ? context : undefined)
  }

  function wrapped(fn: AnyFunction, context: ClassMethodDecoratorContext | LegacyMethod | undefined): AnyFunction {
    const decorates = context !== undefined
    const keyOf = key ?? defaultKey(fn, context, throttledFunction, throttle.isShared)

    async function run(receiver: unknown, args: unknown[], patient: boolean): Promise<unknown> {
      const whose: string = typeof keyOf === 'function' ? Reflect.apply(keyOf, receiver, args) : keyOf
      for (;;) {
        const admitted = await admit(throttle, whose, quantity, patient)
        const { result } = admitted
        if (!result.limited) return called(fn, receiver, args, admitted.ended)
        if (!patient || !Number.isFinite(result.retryAfter)) throw new ThrottleExceededError(result)
        // `acquire` returned a limited result, as a fallback that denies does. Ask again later.
        await sleep(result.retryAfter)
      }
    }

    function throttledFunction(this: unknown, ...args: unknown[]): Promise<unknown> {
      return run(this, args, false)
    }

    throttledFunction.sleepAndRetry = async function (this: unknown, ...args: unknown[]): Promise<unknown> {
      if (this !== throttledFunction) return run(this, args, true)
      if (decorates) throw new TypeError('sleepAndRetry of a method needs its object: sleepAndRetry.call(object, …)')
      return run(undefined, args, true)
    }

    return Object.defineProperties(throttledFunction, {
      name: { value: fn.name, configurable: true },
      length: { value: fn.length, configurable: true },
    })
  }
  return wrap
}

interface Admitted {
  readonly result: RateLimitResult
  /** Ends the permit of the call. `undefined`: the throttle holds none. */
  readonly ended?: (() => Promise<unknown>) | undefined
}

async function admit(throttle: Throttle, key: string, quantity: number, patient: boolean): Promise<Admitted> {
  if (!throttle.holdsPermits)
    return { result: await (patient ? throttle.acquire(key, quantity) : throttle.check(key, quantity)) }
  const reservation = await throttle.reserve(key, quantity, patient ? { maxWait: Number.POSITIVE_INFINITY } : {})
  return { result: reservation.result, ended: () => reservation.settle() }
}

async function called(fn: AnyFunction, receiver: unknown, args: unknown[], ended: Admitted['ended']): Promise<unknown> {
  if (ended === undefined) return Reflect.apply(fn, receiver, args)
  try {
    return await Reflect.apply(fn, receiver, args)
  } finally {
    // A failed end is sent again in the background, and must not fail a call that is done.
    await ended().catch(() => {})
  }
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown

/** @throws TypeError for a decorator's context that is not a method's. */
function isDecoratorContext(context: unknown): context is ClassMethodDecoratorContext {
  // Any other second argument comes from a caller of the wrapper, such as `Array.prototype.map`.
  if (typeof context !== 'object' || context === null || !('kind' in context)) return false
  if (context.kind !== 'method') throw new TypeError(`throttled decorates methods, got a ${String(context.kind)}`)
  return true
}

function checkIsFunction(fn: unknown): asserts fn is AnyFunction {
  checkFunction('what is throttled', fn)
}

/**
 * @param context of a decorated method; `undefined` for a function
 * @param shared true if other processes may spend from the same key
 */
function defaultKey(
  fn: AnyFunction,
  context: ClassMethodDecoratorContext | LegacyMethod | undefined,
  decorated: AnyFunction,
  shared: boolean,
): string | (() => string) {
  if (context === undefined) return nameOf(fn, shared)
  return 'kind' in context ? methodKey(context, decorated, shared) : legacyMethodKey(context, shared)
}

function nameOf(fn: AnyFunction, shared: boolean): string {
  if (shared) {
    throw new TypeError(
      `There is no default key for the function ${named(fn.name)} on a store that other processes may share, where another may have its name: give throttled a key`,
    )
  }
  const name: unknown = fn.name
  if (typeof name === 'string' && name !== '') return name
  throw new TypeError('There is no default key for a function without a name: give throttled a key')
}
