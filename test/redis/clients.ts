/** ioredis clients as users may bring them: of both versions, both protocols, and with the options that change replies. */
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, type RedisOptions as Options5, Redis as Redis5 } from 'ioredis5'

export interface ClientKind {
  readonly name: string
  connect(url: string): Redis
}

interface Address {
  readonly host: string
  readonly port: number
}

export interface ClusterKind {
  readonly name: string
  connect(addresses: Address[]): Cluster
}

/** Version 5 has all that a store calls, under types of its own. */
function isClient(client: Redis5 | Redis): client is Redis {
  return client instanceof Redis5
}

function isCluster(client: Cluster5 | Cluster): client is Cluster {
  return client instanceof Cluster5
}

function redis5(url: string, options: Options5 = {}): Redis {
  const client = new Redis5(url, options)
  if (!isClient(client)) throw new TypeError('ioredis 5 made something else')
  return client
}

function cluster5(addresses: Address[]): Cluster {
  const client = new Cluster5(addresses)
  if (!isCluster(client)) throw new TypeError('ioredis 5 made something else')
  return client
}

export const CLIENTS: readonly ClientKind[] = [
  { name: 'ioredis 6 over RESP2', connect: (url) => new Redis(url, { protocol: 2 }) },
  { name: 'ioredis 6 over RESP3', connect: (url) => new Redis(url, { protocol: 3 }) },
  {
    name: 'ioredis 6 over RESP3 with its reply shapes',
    connect: (url) => new Redis(url, { protocol: 3, replyMapping: 'resp3' }),
  },
  { name: 'ioredis 6 with numbers as texts', connect: (url) => new Redis(url, { stringNumbers: true }) },
  { name: 'ioredis 6 with autopipelining', connect: (url) => new Redis(url, { enableAutoPipelining: true }) },
  { name: 'ioredis 5', connect: (url) => redis5(url) },
  {
    name: 'ioredis 5 with numbers as texts and autopipelining',
    connect: (url) => redis5(url, { stringNumbers: true, enableAutoPipelining: true }),
  },
]

export const CLUSTER_CLIENTS: readonly ClusterKind[] = [
  { name: 'ioredis 6 over RESP2', connect: (addresses) => new Cluster(addresses, { redisOptions: { protocol: 2 } }) },
  { name: 'ioredis 6 over RESP3', connect: (addresses) => new Cluster(addresses, { redisOptions: { protocol: 3 } }) },
  {
    name: 'ioredis 6 with autopipelining',
    connect: (addresses) => new Cluster(addresses, { enableAutoPipelining: true }),
  },
  { name: 'ioredis 5', connect: cluster5 },
]
