/** `onrush/nestjs`: a module and a guard for NestJS 11 and 12, with REST, GraphQL and websockets. */
export { requestOf } from './context.ts'
export { RateLimitExceptionFilter } from './filter.ts'
export { RateLimitGuard } from './guard.ts'
export { RateLimitInterceptor } from './interceptor.ts'
export { RateLimitModule } from './module.ts'
export {
  type NestRateLimitAsyncOptions,
  type NestRateLimitOptions,
  type NestRouteRateLimitOptions,
  RateLimit,
} from './options.ts'
export { UseRateLimit } from './use-rate-limit.ts'
