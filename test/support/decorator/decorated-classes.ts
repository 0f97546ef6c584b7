/** Decorated classes, in a file of their own: vitest does not translate decorators, so tests load it through tsx. */
import { DictionaryStore, GcraLimiter, Quota, Throttle, throttled } from 'onrush'

export const throttle = new Throttle({
  limiter: new GcraLimiter({ store: new DictionaryStore() }),
  rate: Quota.perDay(10),
})

/** Units that have been spent of this key's quota. */
export function used(key: string): number {
  return 10 - throttle.peekSync(key).remaining
}

export const FETCH: unique symbol = Symbol('fetch')

export class Api {
  readonly tenant: string

  constructor(tenant = 'acme') {
    this.tenant = tenant
  }

  @throttled(throttle) call(): void {}

  @throttled(throttle) async greet(greeting: string, name = 'you'): Promise<string> {
    return `${greeting} ${name}, from ${this.tenant}`
  }

  @throttled(throttle) async overridden(): Promise<string> {
    return 'base'
  }

  @throttled(throttle) async [FETCH](): Promise<void> {}

  @throttled(throttle) static async ping(): Promise<string> {
    return 'pong'
  }

  @throttled(throttle) static async #hidden(): Promise<void> {}

  static callHidden(): Promise<void> {
    return Api.#hidden()
  }

  @throttled(throttle, { key: 'secret' }) async #secret(): Promise<string> {
    return this.tenant
  }

  callSecret(): Promise<string> {
    return this.#secret()
  }

  @throttled(throttle, {
    key: function (this: Api, id: string) {
      return `${this.tenant}/${id}`
    },
    quantity: 3,
  })
  async load(id: string, _again: boolean): Promise<string> {
    return id
  }
}

export class Special extends Api {
  override async overridden(): Promise<string> {
    return `special ${await super.overridden()}`
  }
}

export class Redecorated extends Api {
  @throttled(throttle) override async overridden(): Promise<string> {
    return `redecorated ${await super.overridden()}`
  }
}

export class Nameless {
  // Compilers give a class expression a name of their own.
  static readonly name = ''

  @throttled(throttle) async call(): Promise<void> {}
}

export function declarePrivate(): object {
  class Private {
    @throttled(throttle) async #call(): Promise<void> {}

    run(): Promise<void> {
      return this.#call()
    }
  }
  return new Private()
}

export function declareNamelessSymbol(): object {
  const nameless = Symbol()
  class WithSymbol {
    @throttled(throttle) async [nameless](): Promise<void> {}
  }
  return new WithSymbol()
}

/** A decorator that puts another function in the method's place. */
function replaced<This, Result>(
  method: (this: This) => Result,
  _context: ClassMethodDecoratorContext,
): (this: This) => Result {
  return function (this: This) {
    return method.call(this)
  }
}

export class Below {
  @replaced
  @throttled(throttle, { key: 'below' })
  async call(): Promise<void> {}
}

export class Above {
  @throttled(throttle)
  @replaced
  async call(): Promise<void> {}
}

export class Hidden {
  @replaced
  @throttled(throttle)
  async call(): Promise<void> {}
}

export class Unmade {
  @throttled(throttle) async call(): Promise<void> {}
}
