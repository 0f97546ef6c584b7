/** The guard, which decides before a handler runs. */
import type { CanActivate, ExecutionContext } from '@nestjs/common'
import { Reflector } from '@nestjs/core'
import { ThrottleExceededError } from '../errors.ts'
import { decideForNode } from '../http/node-response.ts'
import { type Decision, RequestLimit } from '../http/request-limit.ts'
import { overlaid } from '../http/request-limit-options.ts'
import { type ContextResponse, responseOf } from './context.ts'
import { nest } from './decorators.ts'
import {
  checkGuardOptions,
  type NestRateLimitOptions,
  type NestRouteRateLimitOptions,
  ROUTE_OPTIONS,
} from './options.ts'
import { expectOutcome } from './outcomes.ts'

/** The token by which the options of `RateLimitModule` are injected. */
export const OPTIONS = Symbol('options of RateLimitModule')

/** A limit, and the function that makes the error of a refusal. */
interface RouteLimit {
  readonly limit: RequestLimit<[ExecutionContext]>
  readonly onLimited: NonNullable<NestRouteRateLimitOptions['onLimited']>
}

type Target = ReturnType<ExecutionContext['getHandler'] | ExecutionContext['getClass']>

/**
 * Limits the handlers that it guards. Provide it as `APP_GUARD` beside `RateLimitModule`, so that it guards every route, or use it without
 * the module: `app.useGlobalGuards(new RateLimitGuard(options))`. Place it after the guard that tells who the caller is, if the key needs that.
 * @example
 * const throttle = new Throttle({ store: new DictionaryStore(), rate: '100/minute' })
 * const guard = new RateLimitGuard({ throttle, key: (context) => context.switchToHttp().getRequest().ip })
 */
export class RateLimitGuard implements CanActivate {
  readonly #options: NestRateLimitOptions
  readonly #common: RouteLimit
  /** By class, then by handler. `undefined`: no limit. */
  readonly #limits = new WeakMap<Target, WeakMap<Target, RouteLimit | undefined>>()

  static {
    nest.Injectable()(RateLimitGuard)
    nest.Inject(OPTIONS)(RateLimitGuard, undefined, 0)
  }

  /**
   * Takes the options of every handler; `@RateLimit()` overrides them.
   * @throws TypeError or RangeError for wrong options.
   */
  constructor(options: NestRateLimitOptions) {
    checkGuardOptions(options)
    this.#options = options
    this.#common = limitBy(overlaidInNest(options, {}))
  }

  /** Decides, and writes the header fields of a response over HTTP. Rejects with a `ThrottleExceededError`, or what `onLimited` returned. */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const route = this.#limitOf(context)
    if (route === undefined) return true
    const response = responseOf(context)
    const decision = await decide(route.limit, context, response)
    if (decision === undefined) return true
    if (response !== undefined && !response.raw.headersSent) writeHeaders(decision, context, response)
    if (!decision.result.limited) return true
    throw await route.onLimited(decision.result, context)
  }

  #limitOf(context: ExecutionContext): RouteLimit | undefined {
    const [Class, handler] = [context.getClass(), context.getHandler()]
    const ofClass = this.#limits.get(Class) ?? new WeakMap<Target, RouteLimit | undefined>()
    this.#limits.set(Class, ofClass)
    if (ofClass.has(handler)) return ofClass.get(handler)
    const made = this.#makeLimit(Class, handler)
    ofClass.set(handler, made)
    return made
  }

  #makeLimit(...targets: readonly Target[]): RouteLimit | undefined {
    const reflector = new Reflector()
    const own = targets
      .map((target) => reflector.get<Partial<NestRouteRateLimitOptions> | false | undefined>(ROUTE_OPTIONS, target))
      .filter((given) => given !== undefined)
    if (own.length === 0) return this.#common
    if (own.at(-1) === false) return undefined
    return limitBy(own.filter((given) => given !== false).reduce(overlaidInNest, overlaidInNest(this.#options, {})))
  }
}

const overlaidInNest = overlaid<[context: ExecutionContext], RouteLimit['onLimited']>

function limitBy(options: ReturnType<typeof overlaidInNest>): RouteLimit {
  const { onLimited = (result) => new ThrottleExceededError(result) } = options
  return { limit: new RequestLimit(options), onLimited }
}

async function decide(
  limit: RequestLimit<[ExecutionContext]>,
  context: ExecutionContext,
  response: ContextResponse | undefined,
): Promise<Decision | undefined> {
  // The status of a REST route is known when its response has ended, whoever has answered.
  if (context.getType() === 'http' && response !== undefined) return decideForNode(limit, response.raw, context)
  const decision = await limit.decide(context)
  if (decision !== undefined && limit.awaitsEnd) expectOutcome(context, decision, response?.raw)
  return decision
}

function writeHeaders(decision: Decision, context: ExecutionContext, { headers }: ContextResponse): void {
  if (context.getType() === 'http') decision.writeHeaders(headers)
  // The fields of a GraphQL query share one response, which has the header fields of the field that was decided last.
  else decision.writeHeaders({ append: headers.set, set: headers.set })
}
