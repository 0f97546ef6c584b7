/** All contestants by the names that tables give them. */

import { openLimiter } from './contestants/limiter.ts'
import { onrushOn, openDictionary, openDictionarySync, openOnrush, openTlruCacheSync } from './contestants/onrush.ts'
import { openRateLimitRedis } from './contestants/rate-limit-redis.ts'
import { openFlexible, openFlexibleMemory, openFlexibleUnion } from './contestants/rate-limiter-flexible.ts'
import { openIncrement, openNothing, openScript, openSortedSet } from './contestants/raw.ts'
import { openRedisGcra } from './contestants/redis-gcra.ts'
import { openOnrushOverHttp, openUpstash } from './contestants/upstash.ts'
import type { Open } from './harness/contestant.ts'

export const CONTESTANTS = {
  onrush: openOnrush,
  'onrush denyCache': (setting) => openOnrush(setting, { denied: 1_000_000 }),
  'onrush shards': (setting) => openOnrush(setting, { shards: 6 }),
  'onrush acrossSlots': (setting) => openOnrush(setting, { acrossSlots: true }),
  'onrush, three throttles': (setting) => openOnrush(setting, { throttles: 3 }),
  'onrush, checkAll of two': (setting) => openOnrush(setting, { together: true }),
  'onrush lease': (setting) => openOnrush(setting, { lease: '20ms' }),
  'onrush lease, fixed window': (setting) => openOnrush(setting, { lease: '20ms', algorithm: 'fixed window' }),
  'onrush resend': (setting) => openOnrush(setting, { resend: true }),
  'onrush periodic': onrushOn('periodic'),
  'onrush fixed window': onrushOn('fixed window'),
  'onrush moving window': onrushOn('moving window'),
  'onrush sliding window counter': onrushOn('sliding window counter'),
  'onrush on @upstash/redis': openOnrushOverHttp,
  'onrush checkSync': openDictionarySync,
  'onrush checkSync, TlruCacheStore': openTlruCacheSync,
  'onrush check': openDictionary,
  'rate-limiter-flexible': openFlexible,
  'rate-limiter-flexible inMemoryBlock': (setting) => openFlexible(setting, { blocks: true }),
  RateLimiterMemory: openFlexibleMemory,
  RateLimiterUnion: openFlexibleUnion,
  'rate-limit-redis': openRateLimitRedis,
  'redis-gcra': openRedisGcra,
  '@upstash/ratelimit': openUpstash,
  limiter: openLimiter,
  INCR: openIncrement,
  'INCR autopipelining': (setting) => openIncrement(setting, true),
  'GCRA EVALSHA': openScript,
  'sorted set EVALSHA': openSortedSet,
  nothing: openNothing,
} as const satisfies Record<string, Open>

export type ContestantName = keyof typeof CONTESTANTS
