/** All that limits a gateway or a controller, in one decorator. */
import { applyDecorators, UseFilters, UseGuards, UseInterceptors } from '@nestjs/common'
import { RateLimitExceptionFilter } from './filter.ts'
import { RateLimitGuard } from './guard.ts'
import { RateLimitInterceptor } from './interceptor.ts'

/**
 * Uses the guard, the interceptor and the exception filter for a class or a method: for gateways, which global guards do not
 * reach, and for an application that limits only some of its controllers. Needs `RateLimitModule`.
 */
export function UseRateLimit(): ClassDecorator & MethodDecorator {
  return applyDecorators(
    UseGuards(RateLimitGuard),
    UseInterceptors(RateLimitInterceptor),
    UseFilters(RateLimitExceptionFilter),
  )
}
