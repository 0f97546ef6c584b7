/** Tells decisions how their handler ended, where no response over HTTP does. */
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common'
import { finalize, type Observable, tap } from 'rxjs'
import { member } from './context.ts'
import { nest } from './decorators.ts'
import { takeExpected } from './outcomes.ts'

/**
 * Settles the units that `RateLimitGuard` has reserved (`counted`) for a field of GraphQL or a message of a websocket, when the handler has
 * ended: as status 200, or as the status of the handler's error, 500 if the error has none. `RateLimitModule` provides it for GraphQL; a gateway uses `@UseRateLimit()`.
 * @example
 * const interceptor = new RateLimitInterceptor() // for app.useGlobalInterceptors(interceptor), where there is no RateLimitModule
 */
export class RateLimitInterceptor implements NestInterceptor {
  static {
    nest.Injectable()(RateLimitInterceptor)
  }

  /** Passes the call on, and settles its reservations when it has ended. */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const decisions = takeExpected(context)
    if (decisions.length === 0) return next.handle()
    let status: number | undefined
    const settled = () => {
      for (const decision of decisions) void (status === undefined ? decision.left() : decision.ended(status))
    }
    return next.handle().pipe(
      tap({
        complete: () => {
          status = 200
        },
        error: (error: unknown) => {
          status = statusOf(error)
        },
      }),
      finalize(settled),
    )
  }
}

function statusOf(error: unknown): number {
  const status = member(error, 'status')
  return typeof status === 'number' ? status : 500
}
