/** Clients as users may bring them: of all packages, versions and protocols, and with the options that change replies. */
import { Redis as Upstash } from '@upstash/redis'
import { GlideClient } from '@valkey/valkey-glide'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey, Cluster as ValkeyCluster } from 'iovalkey'
import type { RedisStoreOptions } from 'onrush'
import { createClient, createClientPool, createCluster, RESP_TYPES } from 'redis'
import {
  createClient as createClient5,
  createClientPool as createClientPool5,
  createCluster as createCluster5,
} from 'redis5'
import { UpstashServer } from '../servers/upstash.ts'

/** A client that `RedisStore` accepts. */
export type Client = Extract<RedisStoreOptions, { readonly client: unknown }>['client']

export interface ProvidedClient {
  readonly client: Client
  close(): void
}

interface Address {
  readonly host: string
  readonly port: number
}

interface Kind<Where> {
  readonly name: string
  connect(where: Where): ProvidedClient | Promise<ProvidedClient>
}

export type ClientKind = Kind<string>
export type ClusterKind = Kind<Address[]>

function opened(client: Client & { disconnect(): void }): ProvidedClient {
  return { client, close: () => client.disconnect() }
}

/** A client of node-redis is opened by its owner, who must listen for its errors. */
interface Unopened {
  on(event: 'error', listener: () => void): unknown
  connect(): Promise<unknown>
  destroy(): unknown
}

async function connected(client: Client & Unopened): Promise<ProvidedClient> {
  client.on('error', () => {})
  await client.connect()
  return { client, close: () => client.destroy() }
}

/** Replies that a store must not see. */
const MAPPED = { typeMapping: { [RESP_TYPES.NUMBER]: String, [RESP_TYPES.BLOB_STRING]: String } }

export const CLIENTS: readonly ClientKind[] = [
  { name: 'ioredis 6 over RESP2', connect: (url) => opened(new Redis(url, { protocol: 2 })) },
  { name: 'ioredis 6 over RESP3', connect: (url) => opened(new Redis(url, { protocol: 3 })) },
  {
    name: 'ioredis 6 over RESP3 with its reply shapes',
    connect: (url) => opened(new Redis(url, { protocol: 3, replyMapping: 'resp3' })),
  },
  { name: 'ioredis 6 with numbers as texts', connect: (url) => opened(new Redis(url, { stringNumbers: true })) },
  { name: 'ioredis 6 with autopipelining', connect: (url) => opened(new Redis(url, { enableAutoPipelining: true })) },
  { name: 'ioredis 5', connect: (url) => opened(new Redis5(url)) },
  {
    name: 'ioredis 5 with numbers as texts and autopipelining',
    connect: (url) => opened(new Redis5(url, { stringNumbers: true, enableAutoPipelining: true })),
  },
  { name: 'iovalkey', connect: (url) => opened(new Valkey(url)) },
  { name: 'iovalkey with autopipelining', connect: (url) => opened(new Valkey(url, { enableAutoPipelining: true })) },
  { name: 'node-redis 6 over RESP2', connect: (url) => connected(createClient({ url, RESP: 2 })) },
  { name: 'node-redis 6 over RESP3', connect: (url) => connected(createClient({ url, RESP: 3 })) },
  {
    name: 'node-redis 6 with reply types of its own',
    connect: (url) => connected(createClient({ url, commandOptions: MAPPED })),
  },
  { name: 'node-redis 6 as a pool', connect: (url) => connected(createClientPool({ url })) },
  { name: 'node-redis 5 over RESP2', connect: (url) => connected(createClient5({ url, RESP: 2 })) },
  { name: 'node-redis 5 over RESP3', connect: (url) => connected(createClient5({ url, RESP: 3 })) },
  { name: 'node-redis 5 as a pool', connect: (url) => connected(createClientPool5({ url })) },
]

/** Without a connection that could be replaced: over HTTP, or by a client that replaces connections itself. */
export const OTHER_CLIENTS: readonly ClientKind[] = [
  { name: '@valkey/valkey-glide', connect: ofGlide },
  { name: '@upstash/redis', connect: (url) => overHttp(url, { enableAutoPipelining: true }) },
  { name: '@upstash/redis with texts for replies', connect: (url) => overHttp(url, { responseEncoding: false }) },
]

async function ofGlide(url: string): Promise<ProvidedClient> {
  const { hostname: host, port } = new URL(url)
  const addresses = [{ host, port: Number(port) }]
  const client = await GlideClient.createClient({ addresses, requestTimeout: 20_000 })
  return { client, close: () => client.close() }
}

async function overHttp(
  url: string,
  options: { readonly enableAutoPipelining?: boolean; readonly responseEncoding?: false },
): Promise<ProvidedClient> {
  const server = await UpstashServer.start(url)
  const client = new Upstash({ url: server.url, token: server.token, ...options })
  return { client, close: () => void server[Symbol.asyncDispose]() }
}

function rootNodes(addresses: readonly Address[]): { socket: Address }[] {
  return addresses.map((socket) => ({ socket }))
}

export const CLUSTER_CLIENTS: readonly ClusterKind[] = [
  {
    name: 'ioredis 6 over RESP2',
    connect: (addresses) => opened(new Cluster(addresses, { redisOptions: { protocol: 2 } })),
  },
  {
    name: 'ioredis 6 over RESP3',
    connect: (addresses) => opened(new Cluster(addresses, { redisOptions: { protocol: 3 } })),
  },
  {
    name: 'ioredis 6 with autopipelining',
    connect: (addresses) => opened(new Cluster(addresses, { enableAutoPipelining: true })),
  },
  { name: 'ioredis 5', connect: (addresses) => opened(new Cluster5(addresses)) },
  { name: 'iovalkey', connect: (addresses) => opened(new ValkeyCluster(addresses)) },
  {
    name: 'node-redis 6 over RESP2',
    connect: (addresses) => connected(createCluster({ rootNodes: rootNodes(addresses), RESP: 2 })),
  },
  {
    name: 'node-redis 6 over RESP3',
    connect: (addresses) => connected(createCluster({ rootNodes: rootNodes(addresses), RESP: 3 })),
  },
  {
    name: 'node-redis 5 over RESP2',
    connect: (addresses) => connected(createCluster5({ rootNodes: rootNodes(addresses), RESP: 2 })),
  },
  {
    name: 'node-redis 5 over RESP3',
    connect: (addresses) => connected(createCluster5({ rootNodes: rootNodes(addresses), RESP: 3 })),
  },
]
