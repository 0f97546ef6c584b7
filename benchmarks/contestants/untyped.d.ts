/** Types for the used part of redis-gcra, because the package has none. */
declare module 'redis-gcra' {
  import type { Cluster, Redis } from 'ioredis'

  interface Options {
    readonly redis: Redis | Cluster
    readonly burst: number
    readonly rate: number
    readonly period: number
  }

  interface Limiter {
    limit(request: { readonly key: string; readonly cost?: number }): Promise<{ readonly limited: boolean }>
  }

  const redisGcra: (options: Options) => Limiter
  export = redisGcra
}
