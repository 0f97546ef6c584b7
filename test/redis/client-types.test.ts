/** The types under which users hold their clients, checked by the compiler; what their constructors return is in clients.ts. */
import type { Redis as Upstash } from '@upstash/redis'
import type { Redis as UpstashOnWorkers } from '@upstash/redis/cloudflare'
import type { GlideClient, GlideClusterClient } from '@valkey/valkey-glide'
import type { Cluster, Redis } from 'ioredis'
import type { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import type { Redis as Valkey, Cluster as ValkeyCluster } from 'iovalkey'
import type { RedisClientPoolType, RedisClientType, RedisClusterType, RedisSentinelType } from 'redis'
import type {
  RedisClientPoolType as RedisClientPoolType5,
  RedisClientType as RedisClientType5,
  RedisClusterType as RedisClusterType5,
  RedisSentinelType as RedisSentinelType5,
} from 'redis5'
import { expectTypeOf, test } from 'vitest'
import type { Client } from '../support/redis/clients.ts'

test('a store takes each of them without a cast', () => {
  expectTypeOf<Redis>().toExtend<Client>()
  expectTypeOf<Redis<'resp3'>>().toExtend<Client>()
  expectTypeOf<Cluster>().toExtend<Client>()
  expectTypeOf<Cluster<'resp3'>>().toExtend<Client>()
  expectTypeOf<Redis5>().toExtend<Client>()
  expectTypeOf<Cluster5>().toExtend<Client>()
  expectTypeOf<Valkey>().toExtend<Client>()
  expectTypeOf<ValkeyCluster>().toExtend<Client>()
  expectTypeOf<GlideClient>().toExtend<Client>()
  expectTypeOf<Upstash>().toExtend<Client>()
  expectTypeOf<UpstashOnWorkers>().toExtend<Client>()
  expectTypeOf<RedisClientType>().toExtend<Client>()
  expectTypeOf<RedisClientPoolType>().toExtend<Client>()
  expectTypeOf<RedisClusterType>().toExtend<Client>()
  expectTypeOf<RedisClientType5>().toExtend<Client>()
  expectTypeOf<RedisClientPoolType5>().toExtend<Client>()
  expectTypeOf<RedisClusterType5>().toExtend<Client>()
})

test('a client for sentinels is none, nor is that of GLIDE for clusters', () => {
  expectTypeOf<GlideClusterClient>().not.toExtend<Client>()
  expectTypeOf<RedisSentinelType>().not.toExtend<Client>()
  expectTypeOf<RedisSentinelType5>().not.toExtend<Client>()
})
