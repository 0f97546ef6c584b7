/** `throttled` as a wrapper of functions and as a decorator of methods. */
import { DictionaryStore, GcraLimiter, Quota, Throttle, ThrottleExceededError, throttled } from 'onrush'
import 'reflect-metadata'
import { SetMetadata } from '@nestjs/common'
import { tsImport } from 'tsx/esm/api'
import { describe, expect, test } from 'vitest'
import { MapStore } from '../support/stores/map-store.ts'

const PERIOD = 40_000

let readings = 0

/** As fine as the sleeps that are measured by it; read once for each check. */
function clock(): number {
  readings++
  return 1_800_000_000_000_000 + Math.floor(performance.now() * 1000)
}

function allowing(count: number): Throttle {
  const limiter = new GcraLimiter({ store: new DictionaryStore({ clock }) })
  return new Throttle({ limiter, rate: new Quota({ count, period: '1 day' }) })
}

function everyPeriod(): Throttle {
  const limiter = new GcraLimiter({ store: new DictionaryStore({ clock }) })
  return new Throttle({ limiter, rate: new Quota({ count: 1, period: PERIOD / 1000 }) })
}

describe('a throttled function', () => {
  test('answers with a promise of what the function returns, be that a promise or not', async () => {
    const sum = throttled(allowing(2))(function sum(a: number, b: number) {
      return a + b
    })
    const later = throttled(allowing(2))(async function later(text: string) {
      return text
    })
    const promised = sum(1, 2)
    expect(promised).toBeInstanceOf(Promise)
    expect(await promised).toBe(3)
    expect(await later('done')).toBe('done')
  })

  test('rejects with what the function throws', async () => {
    const failing = throttled(allowing(1), { key: 'failing' })(() => {
      throw new RangeError('too far')
    })
    await expect(failing()).rejects.toThrow(new RangeError('too far'))
  })

  test('is not called when limited, and the error tells what the limiter said', async () => {
    let calls = 0
    const once = throttled(allowing(1), { key: 'once' })(() => calls++)
    await once()
    const error = await once().catch((reason: unknown) => reason)
    if (!(error instanceof ThrottleExceededError)) throw error
    expect(error.code).toBe('ONRUSH_THROTTLE_EXCEEDED')
    expect(error.result).toMatchObject({ limited: true, limit: 1, remaining: 0 })
    expect(error.result.retryAfter).toBeGreaterThan(0)
    expect(calls).toBe(1)
  })

  test('spends the quota of its own name, of a given key, or of a key made of its arguments', async () => {
    const throttle = allowing(10)
    await throttled(throttle)(function send() {})()
    await throttled(throttle, { key: 'mail' })(function send() {})()
    await throttled(throttle, { key: (user: string) => `user:${user}` })((_user: string, _text: string) => {})(
      '7',
      'hi',
    )
    expect(['send', 'mail', 'user:7'].map((key) => throttle.peekSync(key).remaining)).toEqual([9, 9, 9])
  })

  test('spends the given quantity', async () => {
    const throttle = allowing(10)
    await throttled(throttle, { key: 'batch', quantity: 4 })(() => {})()
    expect(throttle.peekSync('batch').remaining).toBe(6)
  })

  test('keeps this, name and length', async () => {
    const greet = throttled(allowing(9))(function greet(this: { name: string }, greeting: string, _mark?: string) {
      return `${greeting} ${this.name}`
    })
    expect(await greet.call({ name: 'Ada' }, 'hello')).toBe('hello Ada')
    expect(await greet.sleepAndRetry.call({ name: 'Ada' }, 'hello')).toBe('hello Ada')
    expect([greet.name, greet.length]).toEqual(['greet', 2])
  })

  test('does not take what a caller adds, such as the index of an array, for a decorator', async () => {
    const [first] = [() => 'first'].map(throttled(allowing(1), { key: 'first' }))
    expect(await first?.()).toBe('first')
  })

  test('needs a key when the function has no name', () => {
    expect(() => throttled(allowing(1))(() => {})).toThrow(TypeError)
    expect(() => throttled(allowing(1))(() => {})).toThrow('a function without a name: give throttled a key')
  })

  test('rejects when the key that is made of the arguments is none', async () => {
    const throttle = allowing(1)
    await expect(throttled(throttle, { key: () => '' })(() => {})()).rejects.toThrow(RangeError)
    // @ts-expect-error a key is a text
    await expect(throttled(throttle, { key: () => 42 })(() => {})()).rejects.toThrow('key must be a string, got 42')
  })

  test('is not made of wrong arguments', () => {
    const throttle = allowing(1)
    // @ts-expect-error
    expect(() => throttled({ check() {} })).toThrow(TypeError)
    // @ts-expect-error
    expect(() => throttled(throttle, 'key')).toThrow(TypeError)
    // @ts-expect-error
    expect(() => throttled(throttle, { key: 7 })).toThrow(TypeError)
    expect(() => throttled(throttle, { key: '' })).toThrow(RangeError)
    expect(() => throttled(throttle, { quantity: 1.5 })).toThrow(RangeError)
    // @ts-expect-error
    expect(() => throttled(throttle, { quantity: '1' })).toThrow(TypeError)
    // @ts-expect-error
    expect(() => throttled(throttle)('fn')).toThrow(TypeError)
  })
})

describe('sleepAndRetry', () => {
  test('calls the function at once when there is room', async () => {
    const once = throttled(allowing(1), { key: 'once' })((text: string) => text)
    expect(await once.sleepAndRetry('now')).toBe('now')
  })

  test('waits until the call may run', async () => {
    const once = throttled(everyPeriod(), { key: 'once' })(() => 'ran')
    const start = clock()
    await once()
    expect(await once.sleepAndRetry()).toBe('ran')
    expect(clock() - start).toBeGreaterThanOrEqual(PERIOD)
  })

  test('sleeps meanwhile, instead of asking again and again', async () => {
    const once = throttled(everyPeriod(), { key: 'once' })(() => {})
    await once()
    readings = 0
    await once.sleepAndRetry()
    expect(readings).toBeLessThanOrEqual(4)
  })

  test('does not take itself for the object of the function', async () => {
    const self = throttled(allowing(1))(function self(this: unknown) {
      return this
    })
    expect(await self.sleepAndRetry()).toBeUndefined()
  })

  test('lets callers that wait together through one period after another', async () => {
    const once = throttled(everyPeriod(), { key: 'once' })(() => {})
    const start = clock()
    await Promise.all([once.sleepAndRetry(), once.sleepAndRetry(), once.sleepAndRetry()])
    expect(clock() - start).toBeGreaterThanOrEqual(2 * PERIOD)
  })

  test('rejects at once when the call can never run', async () => {
    const large = throttled(allowing(5), { key: 'large', quantity: 6 })(() => {})
    await expect(large.sleepAndRetry()).rejects.toThrow(ThrottleExceededError)
    await expect(large.sleepAndRetry()).rejects.toThrow('more was asked for than its limit of 5 can ever allow')
  })
})

describe('a throttled method', async () => {
  const classes: typeof import('../support/decorator/decorated-classes.ts') = await tsImport(
    '../support/decorator/decorated-classes.ts',
    import.meta.url,
  )
  const { Api, Special, Redecorated, Below, Above, Nameless, Hidden, Unmade, used } = classes

  test('spends the quota of its class and name', async () => {
    await new Api().call()
    expect(used('Api.call')).toBe(1)
  })

  test('keeps this, its arguments, name and length', async () => {
    const api = new Api()
    expect(await api.greet('hello', 'Ada')).toBe('hello Ada, from acme')
    expect([api.greet.name, api.greet.length]).toEqual(['greet', 1])
  })

  test('shares one quota among all instances, those of subclasses too', async () => {
    const before = used('Api.overridden')
    await new Special().overridden()
    await new Api().overridden()
    expect(used('Api.overridden') - before).toBe(2)
    expect(used('Special.overridden')).toBe(0)
  })

  test('has a quota of its own where a subclass decorates it again', async () => {
    const before = used('Api.overridden')
    expect(await new Redecorated().overridden()).toBe('redecorated base')
    expect(used('Redecorated.overridden')).toBe(1)
    expect(used('Api.overridden') - before).toBe(1)
  })

  test('may be static', async () => {
    expect(await Api.ping()).toBe('pong')
    expect(await Special.ping()).toBe('pong')
    expect(used('Api.ping')).toBe(2)
    expect(used('Special.ping')).toBe(0)
  })

  test('may be named by a symbol', async () => {
    await new Api()[classes.FETCH]()
    expect(used('Api.[fetch]')).toBe(1)
  })

  test('may be private when it is static or has a key', async () => {
    await Api.callHidden()
    expect(used('Api.#hidden')).toBe(1)
    expect(await new Api('wile').callSecret()).toBe('wile')
    expect(used('secret')).toBe(1)
  })

  test('may have a key made of its object and arguments', async () => {
    expect(await new Api('wile').load('42', true)).toBe('42')
    expect(used('wile/42')).toBe(3)
  })

  test('may stand above other decorators, and with a key below them', async () => {
    await new Above().call()
    expect(used('Above.call')).toBe(1)
    await new Below().call()
    expect(used('below')).toBe(1)
  })

  test.each([
    ['it is private', classes.declarePrivate],
    ['it is named by a symbol without a description', classes.declareNamelessSymbol],
  ])('cannot be declared without a key when %s', (_reason, declare) => {
    expect(declare).toThrow(TypeError)
    expect(declare).toThrow('give throttled a key')
  })

  test.each([
    ['its class has no name', () => new Nameless().call()],
    ['another decorator has replaced it', () => new Hidden().call()],
    ['its class has no instance yet', () => Unmade.prototype.call()],
  ])('cannot be called without a key when %s', async (_reason, call) => {
    await expect(call).rejects.toThrow('give throttled a key')
  })

  test('has sleepAndRetry, which must be given the object', async () => {
    const greet = new Api().greet
    if (!('sleepAndRetry' in greet) || typeof greet.sleepAndRetry !== 'function') throw new Error('no sleepAndRetry')
    expect(await greet.sleepAndRetry.call(new Api('wile'), 'hello')).toBe('hello you, from wile')
    await expect(greet.sleepAndRetry('hello')).rejects.toThrow('needs its object')
  })

  test('must be a method, decorated by the standard', () => {
    const decorate = throttled(allowing(1))
    const fn = async () => {}
    // @ts-expect-error the decorator of a getter
    expect(() => decorate(fn, { kind: 'getter', name: 'value' })).toThrow('throttled decorates methods, got a getter')
  })
})

describe('a method that a legacy decorator throttles', () => {
  /** Decorates as TypeScript's `experimentalDecorators` does. */
  function decorate(target: object, name: string | symbol, decorators: readonly LegacyDecorator[]): void {
    let descriptor = Object.getOwnPropertyDescriptor(target, name)
    if (descriptor === undefined) throw new Error(`there is no ${String(name)}`)
    for (const decorator of decorators.toReversed()) {
      const replaced = decorator(target, name, descriptor)
      if (typeof replaced === 'object' && replaced !== null) descriptor = replaced
    }
    Object.defineProperty(target, name, descriptor)
  }

  function makeApi() {
    class Api {
      readonly tenant: string

      constructor(tenant = 'acme') {
        this.tenant = tenant
      }

      async greet(greeting: string): Promise<string> {
        return `${greeting}, from ${this.tenant}`
      }

      static async ping(): Promise<string> {
        return 'pong'
      }
    }
    return Api
  }

  test('spends the quota of its class and name, with this and its arguments', async () => {
    const [Api, throttle] = [makeApi(), allowing(10)]
    decorate(Api.prototype, 'greet', [throttled(throttle)])
    class Special extends Api {}
    expect(await new Api('wile').greet('hello')).toBe('hello, from wile')
    expect(await new Special().greet('hello')).toBe('hello, from acme')
    expect(throttle.peekSync('Api.greet').remaining).toBe(8)
    expect([Api.prototype.greet.name, Api.prototype.greet.length]).toEqual(['greet', 1])
    expect(Object.keys(Api.prototype)).toEqual([])
  })

  test('may be static, or have a key made of its object and arguments', async () => {
    const [Api, throttle] = [makeApi(), allowing(10)]
    decorate(Api, 'ping', [throttled(throttle)])
    const key = function (this: { tenant: string }, greeting: unknown) {
      return `${this.tenant}/${greeting}`
    }
    decorate(Api.prototype, 'greet', [throttled<unknown[]>(throttle, { key })])
    expect(await Api.ping()).toBe('pong')
    await new Api().greet('hello')
    expect(['Api.ping', 'acme/hello'].map((name) => throttle.peekSync(name).remaining)).toEqual([9, 9])
  })

  test('rejects when limited, and has sleepAndRetry', async () => {
    const [Api, throttle] = [makeApi(), allowing(1)]
    decorate(Api.prototype, 'greet', [throttled(throttle)])
    await new Api().greet('hello')
    await expect(new Api().greet('hello')).rejects.toThrow(ThrottleExceededError)
    await expect(new Api().greet('hello')).rejects.toThrow('Limited by 1/1d')
    const { greet } = Api.prototype
    if (!('sleepAndRetry' in greet) || typeof greet.sleepAndRetry !== 'function') throw new Error('no sleepAndRetry')
    await expect(greet.sleepAndRetry('hello')).rejects.toThrow('needs its object')
  })

  test('keeps metadata that decorators below have stored', () => {
    const Api = makeApi()
    decorate(Api.prototype, 'greet', [throttled(allowing(1)), SetMetadata('path', '/greet')])
    expect(Reflect.getMetadata('path', Api.prototype.greet)).toBe('/greet')
  })

  test('needs a key, or a class that states its name, on a store that other processes may share', async () => {
    const throttle = new Throttle({ store: new MapStore(), rate: '10/day' })
    const Unstated = makeApi()
    decorate(Unstated.prototype, 'greet', [throttled(throttle)])
    await expect(new Unstated().greet('hello')).rejects.toThrow('give throttled a key, or the class a static name')
    class Stated extends makeApi() {
      static override readonly name = 'mailer'

      override async greet(): Promise<string> {
        return 'hello'
      }
    }
    decorate(Stated.prototype, 'greet', [throttled(throttle)])
    await new Stated().greet()
    expect((await throttle.peek('mailer.greet')).remaining).toBe(9)
  })

  test('must be a method', () => {
    const decorator = throttled(allowing(1))
    const getter = { get: () => 1, configurable: true }
    // @ts-expect-error a getter has no function as its value
    expect(() => decorator({}, 'count', getter)).toThrow(
      "throttled decorates methods, got something else that is named 'count'",
    )
    // @ts-expect-error the field of an object
    expect(() => decorator({}, 'count')).toThrow(TypeError)
    // @ts-expect-error the parameter of a method
    expect(() => decorator({}, 'call', 0)).toThrow(TypeError)
  })
})

type LegacyDecorator = (target: object, name: string | symbol, descriptor: PropertyDescriptor) => unknown
