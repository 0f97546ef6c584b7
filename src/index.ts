/** The public names of onrush. Only names here and in the other entries of package.json's `exports` are public. */
export type { Algorithm } from './algorithms/algorithm.ts'
export type { BlockOptions, BlocksOptions } from './blocks.ts'
export type { CalendarPeriod } from './calendar/period.ts'
export type { CalendarUnit } from './calendar/window.ts'
export { type CheckAllOptions, checkAll } from './check-all.ts'
export type { Clock } from './clock.ts'
export { type ThrottledFunction, type ThrottledOptions, type Throttling, throttled } from './decorator.ts'
export type { Duration } from './duration.ts'
export {
  AtomicOperationError,
  DataChangedInStoreError,
  InvalidStoreUrlError,
  MismatchedDataError,
  OnrushError,
  PeerDependencyError,
  PermitLostError,
  ReservationSettledError,
  StoreError,
  StoreTimeoutError,
  StoreUnavailableError,
  ThrottleExceededError,
  UnsupportedServerError,
} from './errors.ts'
export {
  type BatchEvent,
  type BlockEvent,
  type DecisionEvent,
  type Events,
  type FailoverChange,
  type FailoverEvent,
  type FailoverState,
  type LeaseEvent,
  type ScriptEvent,
  subscribe,
  type WarningEvent,
} from './events.ts'
export type { LeaseOptions } from './leases/options.ts'
export { LimitData, type LimitDataFields } from './limit-data.ts'
export { BaseLimiter, type LimiterOptions } from './limiters/base.ts'
export { ConcurrencyLimiter } from './limiters/concurrency.ts'
export {
  AlgorithmLimiter,
  type AlgorithmLimiterOptions,
  FixedWindowLimiter,
  GcraLimiter,
  type GcraLimiterOptions,
  MovingWindowLimiter,
  PeriodicLimiter,
  SlidingWindowCounterLimiter,
} from './limiters/limiters.ts'
export {
  type CalendarOptions,
  type CalendarQuotaOptions,
  type ConcurrentOptions,
  Quota,
  type QuotaOptions,
  type WeekOptions,
} from './quota.ts'
export type { Rate } from './rate.ts'
export type { BorrowedClient } from './redis/clients/detect.ts'
export type { RedisClientOptions } from './redis/clients/ioredis-create.ts'
export type { DenyCacheOptions } from './redis/deny-cache.ts'
export type { HashTag } from './redis/keys.ts'
export type { RedisStoreOptions } from './redis/options.ts'
export { RedisStore } from './redis/store.ts'
export { Reservation } from './reservation.ts'
export { JointReservation, reserveAll } from './reserve-all.ts'
export type { PermitOptions } from './reserve-options.ts'
export { RateLimitResult, type RateLimitResultFields, type ResultSource } from './result.ts'
export { type SleepOptions, sleep } from './sleep.ts'
export { registerStore, type StoreClass, storeFromUrl } from './store-from-url.ts'
export { type Awaitable, BaseStore, type BaseStoreOptions } from './stores/base.ts'
export type { BlockedKey, BlockedOptions } from './stores/blocked.ts'
export type { FailoverStoreOptions } from './stores/failover/options.ts'
export { FailoverStore } from './stores/failover/store.ts'
export { DictionaryStore, type DictionaryStoreOptions } from './stores/in-process/dictionary.ts'
export { TlruCacheStore, type TlruCacheStoreOptions } from './stores/in-process/tlru-cache.ts'
export type { CheckAllSubject } from './subjects.ts'
export { Throttle } from './throttle.ts'
export type { CheckOptions, ReserveOptions, ThrottleLayer, ThrottleOptions } from './throttle-options.ts'
export type { WaitOptions } from './waiting.ts'
