/** The part of redis-gcra that is asked here; the package has no types of its own. */
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
