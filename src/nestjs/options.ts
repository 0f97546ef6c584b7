/** The options of the guard, and those that a route or class has of its own. */
import type {
  CustomDecorator,
  ExecutionContext,
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
} from '@nestjs/common'
import { SetMetadata } from '@nestjs/common'
import { notInstance } from '../arguments.ts'
import {
  checkRequestLimitOptions,
  REQUEST_LIMIT_NAMES,
  type RequestLimitOptions,
} from '../http/request-limit-options.ts'
import { optionNames } from '../option-names.ts'
import type { RateLimitResult } from '../result.ts'
import { BaseStore } from '../stores/base.ts'

/** Options that a class or a method can override by `@RateLimit()`. Functions get Nest's `ExecutionContext`. */
export interface NestRouteRateLimitOptions extends RequestLimitOptions<[context: ExecutionContext]> {
  /**
   * Returns the error that answers a refused request, such as an `HttpException`. Default: a `ThrottleExceededError`, which
   * `RateLimitExceptionFilter` answers.
   */
  readonly onLimited?: ((result: RateLimitResult, context: ExecutionContext) => unknown) | undefined
}

/** The options of `RateLimitModule.forRoot` and `RateLimitGuard`. */
export interface NestRateLimitOptions extends NestRouteRateLimitOptions {
  /**
   * A store that `RateLimitModule` closes when the application has shut down: after `app.close()`, or a signal if
   * `app.enableShutdownHooks()` was called. Default: none, so that a store which others use too stays open.
   */
  readonly store?: BaseStore | undefined
}

/** The options of `RateLimitModule.forRootAsync`, as other modules of Nest have them. */
export interface NestRateLimitAsyncOptions {
  /** Modules that export what is injected. Default: none. */
  readonly imports?: ModuleMetadata['imports']
  /** The classes or tokens of the factory's arguments, in order. Default: none. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[] | undefined
  /** Makes the options, once, when the application starts. */
  readonly useFactory: (...injected: never[]) => NestRateLimitOptions | Promise<NestRateLimitOptions>
}

const ROUTE_NAMES = optionNames<NestRouteRateLimitOptions>(REQUEST_LIMIT_NAMES)
const NAMES = optionNames<NestRateLimitOptions>({ ...REQUEST_LIMIT_NAMES, store: true })

/** The metadata of a class or method. */
export const ROUTE_OPTIONS = 'onrush:rate-limit'

/**
 * Options of `RateLimitGuard` for one method, or for all methods of a class, over those of the module; `false`: no limit. Those of
 * a method win over those of its class.
 * @throws TypeError or RangeError for wrong options.
 */
export function RateLimit(options: Partial<NestRouteRateLimitOptions> | false): CustomDecorator {
  if (options !== false) checkRequestLimitOptions('options of RateLimit', options, ROUTE_NAMES)
  return SetMetadata(ROUTE_OPTIONS, options)
}

/** @throws TypeError or RangeError for wrong options. */
export function checkGuardOptions(options: NestRateLimitOptions): void {
  checkRequestLimitOptions('options of RateLimitGuard', options, NAMES)
  const { store } = options
  if (store !== undefined && !(store instanceof BaseStore)) throw notInstance('store must be a store', BaseStore, store)
}
