/** Answers a `ThrottleExceededError`, of the guard or of a method that `throttled` decorates. */
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common'
import { throwError } from 'rxjs'
import { ThrottleExceededError } from '../errors.ts'
import { PROBLEM_MEDIA_TYPE, problemDetails, type QuotaExceededProblem } from '../http/problem-details.ts'
import { member, responseOf } from './context.ts'
import { nest } from './decorators.ts'

/**
 * Answers a `ThrottleExceededError`: a REST route with status 429, problem details and `Retry-After`; a field of GraphQL with an error whose
 * `extensions` have `code: 'TOO_MANY_REQUESTS'`; a websocket with the event `exception`. `RateLimitModule` provides it for REST
 * and GraphQL; a gateway uses `@UseRateLimit()`.
 * @example
 * const filter = new RateLimitExceptionFilter() // for app.useGlobalFilters(filter), where there is no RateLimitModule
 */
export class RateLimitExceptionFilter implements ExceptionFilter<ThrottleExceededError> {
  static {
    nest.Catch(ThrottleExceededError)(RateLimitExceptionFilter)
  }

  /** Answers over the transport of the context. */
  catch(error: ThrottleExceededError, host: ArgumentsHost): unknown {
    switch (host.getType<string>()) {
      case 'http':
        return answer(error, host)
      case 'graphql':
        // An error that is returned, as GraphQL takes it from a resolver.
        return Object.assign(new Error(error.message, { cause: error }), { extensions: extensionsOf(error) })
      case 'ws':
        return tell(host.switchToWs().getClient(), { status: 'error', message: error.message, ...extensionsOf(error) })
      default:
        return throwError(() => error)
    }
  }
}

interface Extensions {
  readonly code: 'TOO_MANY_REQUESTS'
  /** Whole seconds. `undefined`: waiting does not help. */
  readonly retryAfter?: number
  readonly problem: QuotaExceededProblem
}

function extensionsOf({ result, headers }: ThrottleExceededError): Extensions {
  const retryAfter = headers['Retry-After']
  return {
    code: 'TOO_MANY_REQUESTS',
    ...(retryAfter === undefined ? {} : { retryAfter: Number(retryAfter) }),
    problem: problemDetails(result),
  }
}

function answer({ result, headers }: ThrottleExceededError, host: ArgumentsHost): void {
  const response = responseOf(host)
  if (response === undefined || response.raw.headersSent) return
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  response.send(429, PROBLEM_MEDIA_TYPE, JSON.stringify(problemDetails(result)))
}

/** Sends an event as Nest's own filter does: by Socket.IO's `emit`, or as JSON over a bare websocket, whose `emit` stays in this process. */
function tell(client: unknown, data: object): void {
  const isSocketIo = member(client, 'handshake') !== undefined
  const send = member(client, isSocketIo ? 'emit' : 'send')
  if (typeof send !== 'function') return
  Reflect.apply(send, client, isSocketIo ? ['exception', data] : [JSON.stringify({ event: 'exception', data })])
}
