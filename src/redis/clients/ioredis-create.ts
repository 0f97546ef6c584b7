/** Makes the ioredis client for a URL: one server, a Unix socket, a cluster, or a master behind sentinels. */
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { PeerDependencyError } from '../../errors.ts'
import { checkPeerDependency, projectRequire } from '../../peer-dependency.ts'
import { nodeProcess } from '../../runtime.ts'
import type { Host, RedisUrl } from '../url.ts'
import { loadIoredis } from './ioredis-module.cjs'

/**
 * The client must not resend commands by itself, because a script whose reply was lost would spend twice. Nor may commands queue while
 * Redis is away, because the callers were told by then that nothing was counted.
 */
const OWN = { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 } as const

/** The options of ioredis, except those that the store sets: the mapping of replies, queueing and resending. */
export type RedisClientOptions = Omit<RedisOptions, 'replyMapping' | keyof typeof OWN>

/** The delay before a reconnect, in ms: short at first because checks wait, and random so that many processes do not reconnect at once. */
function retryDelay(attempts: number): number {
  return Math.random() * Math.min(10 * 2 ** attempts, 1000)
}

/** How long a sentinel may take to connect and to name the master, in ms. */
const LONGEST_SENTINEL = 1000

const NEEDS = 'RedisStore({ url }) makes a client of ioredis, and'

/** @throws PeerDependencyError when ioredis is not installed, or too old */
function ioredis(): typeof import('ioredis') {
  checkPeerDependency(NEEDS, 'ioredis', '5.4')
  return loadIoredis() ?? loadBesideBundle()
}

/** Loads ioredis from the user's project, for an ESM bundle that holds neither ioredis nor `require`. */
function loadBesideBundle(): typeof import('ioredis') {
  try {
    return projectRequire()('ioredis')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND'
    const reason = missing
      ? 'is not installed: npm install ioredis'
      : nodeProcess?.getBuiltinModule === undefined
        ? 'cannot be loaded in this runtime'
        : `cannot be loaded (${error})`
    const message = `${NEEDS} needs ioredis 5.4 or later, which ${reason}, or give { client } instead`
    throw new PeerDependencyError('ioredis', undefined, message)
  }
}

/** @throws PeerDependencyError when ioredis is not installed, or too old */
export function makeClient(url: RedisUrl, given: RedisClientOptions = {}): Redis | Cluster {
  const { servers, options } = url
  const { Redis, Cluster } = ioredis()
  const common = {
    retryStrategy: retryDelay,
    // Without this, ioredis waits for a sentinel that hangs; with this, ioredis goes on to the next one.
    sentinelCommandTimeout: LONGEST_SENTINEL,
    // Short, because the store disconnects only from servers that have been silent for too long, so no replies will come.
    disconnectTimeout: 50,
    ...given,
    username: url.username ?? given.username,
    password: url.password ?? given.password,
    db: url.db ?? given.db,
    family: options.family ?? given.family,
    ...(options.tls ? { tls: given.tls ?? {} } : {}),
  }
  switch (servers.kind) {
    case 'server':
      return new Redis({ ...common, ...OWN, ...servers.host })
    case 'socket':
      return new Redis({ ...common, ...OWN, path: servers.path })
    case 'sentinel':
      return new Redis({
        ...common,
        ...sentinelOptions(url, given),
        ...OWN,
        sentinels: [...servers.hosts],
        name: servers.name,
      })
    case 'cluster':
      return makeCluster(Cluster, servers.hosts, common)
  }
}

function sentinelOptions({ options }: RedisUrl, given: RedisClientOptions): RedisClientOptions {
  const { sentinelUsername = given.sentinelUsername, sentinelPassword = given.sentinelPassword, tls } = options
  const encrypted = { enableTLSForSentinelMode: true, sentinelTLS: given.sentinelTLS ?? given.tls ?? {} }
  return { sentinelUsername, sentinelPassword, ...(tls ? encrypted : {}) }
}

function makeCluster(ClusterClass: typeof Cluster, hosts: readonly Host[], options: RedisClientOptions): Cluster {
  const {
    host: _host,
    port: _port,
    path: _path,
    sentinels: _sentinels,
    retryStrategy: _retry,
    readOnly: _readOnly,
    ...node
  } = options
  return new ClusterClass([...hosts], {
    keyPrefix: options.keyPrefix ?? '',
    lazyConnect: options.lazyConnect ?? false,
    // The ready check asks a random node and waits for as long as that hangs. A cluster that is down answers each check with an error.
    enableReadyCheck: false,
    // 0: do not resend commands that were in flight when a connection was lost.
    retryDelayOnFailover: 0,
    // While a slot migrates, its node may answer TRYAGAIN. The store retries soon, or key by key.
    retryDelayOnTryAgain: 10,
    maxRedirections: 5,
    // Without the queue, ioredis refuses commands while it connects to one node. The store itself refuses while there is no node at all.
    enableOfflineQueue: true,
    // Keeps host names as they are, because TLS certificates are checked against the name, not the address.
    ...(options.tls === undefined ? {} : { dnsLookup: (name, done) => done(null, name) }),
    redisOptions: {
      ...node,
      autoResendUnfulfilledCommands: OWN.autoResendUnfulfilledCommands,
      maxRetriesPerRequest: OWN.maxRetriesPerRequest,
    },
  })
}
