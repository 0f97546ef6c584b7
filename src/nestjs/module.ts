/** The module, which provides the guard's options, and closes the store with the application. */
import type { DynamicModule, OnApplicationShutdown, Provider } from '@nestjs/common'
import { APP_FILTER, APP_INTERCEPTOR } from '@nestjs/core'
import { checkFunction } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { nest } from './decorators.ts'
import { RateLimitExceptionFilter } from './filter.ts'
import { OPTIONS, RateLimitGuard } from './guard.ts'
import { RateLimitInterceptor } from './interceptor.ts'
import { checkGuardOptions, type NestRateLimitAsyncOptions, type NestRateLimitOptions } from './options.ts'

const ASYNC_NAMES = optionNames<NestRateLimitAsyncOptions>({ imports: true, inject: true, useFactory: true })

/**
 * The options of `RateLimitGuard` for the whole application. Import the module once, and provide the guard as `APP_GUARD`. The module also
 * provides `RateLimitExceptionFilter` and `RateLimitInterceptor`, and closes the option `store` when the application has shut down.
 * @example
 * const store = new RedisStore({ url: 'redis://localhost:6379' })
 * const throttle = new Throttle({ store, rate: '100/minute' })
 * const imports = [RateLimitModule.forRoot({ store, throttle, key: (context) => requestOf(context).socket.remoteAddress ?? '' })]
 */
export class RateLimitModule implements OnApplicationShutdown {
  readonly #options: NestRateLimitOptions

  static {
    nest.Module({})(RateLimitModule)
    nest.Inject(OPTIONS)(RateLimitModule, undefined, 0)
  }

  /** Made by Nest. */
  constructor(options: NestRateLimitOptions) {
    this.#options = options
  }

  /**
   * The module with these options.
   * @throws TypeError or RangeError for wrong options.
   */
  static forRoot(options: NestRateLimitOptions): DynamicModule {
    checkGuardOptions(options)
    return moduleWith({ provide: OPTIONS, useValue: options })
  }

  /** The module with the options that a factory makes, of what is injected into it. Wrong options reject the start of the application. */
  static forRootAsync(options: NestRateLimitAsyncOptions): DynamicModule {
    checkOptionNames('options of RateLimitModule.forRootAsync', options, ASYNC_NAMES)
    const { imports = [], inject = [], useFactory } = options
    checkFunction('useFactory', useFactory)
    const make = (...injected: unknown[]) => Reflect.apply(useFactory, undefined, injected)
    return moduleWith({ provide: OPTIONS, inject, useFactory: make }, imports)
  }

  /** Closes the option `store`. */
  async onApplicationShutdown(): Promise<void> {
    await this.#options.store?.close()
  }
}

function moduleWith(options: Provider, imports: DynamicModule['imports'] = []): DynamicModule {
  const own = [RateLimitGuard, RateLimitInterceptor, RateLimitExceptionFilter]
  return {
    module: RateLimitModule,
    // So that a guard which any module provides or uses finds the options.
    global: true,
    imports,
    providers: [
      options,
      ...own,
      { provide: APP_INTERCEPTOR, useExisting: RateLimitInterceptor },
      { provide: APP_FILTER, useExisting: RateLimitExceptionFilter },
    ],
    exports: [OPTIONS, ...own],
  }
}
