/** Makes the ioredis client of a store that was given a URL: of one server, on a socket, of a cluster, behind sentinels. */
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { PeerDependencyError } from '../../errors.ts'
import { checkPeerDependency, projectRequire } from '../../peer-dependency.ts'
import type { Host, RedisUrl } from '../url.ts'
import { loadIoredis } from './ioredis-module.cjs'

/**
 * A lost reply must not be asked for again blindly: a script that spends would spend twice. Nor may commands queue while Redis
 * is away: whoever asked has been told by then that nothing was counted.
 */
const OWN = { enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 } as const

/** ioredis's own, but for what this store decides: how replies are mapped, and that nothing is queued or sent again. */
export type RedisClientOptions = Omit<RedisOptions, 'replyMapping' | keyof typeof OWN>

/** Soon at first, for checks wait for it; at random, so that many processes do not come back together. */
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

/** An ESM bundle may leave ioredis out, and have no `require` to ask for it. */
function loadBesideBundle(): typeof import('ioredis') {
  try {
    return projectRequire()('ioredis')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND'
    const reason = missing ? 'is not installed: npm install ioredis' : `cannot be loaded (${error})`
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
    // A sentinel that hangs is passed over for the next; ioredis would wait for it as long as it hangs.
    sentinelCommandTimeout: LONGEST_SENTINEL,
    // Given up is a connection that has been silent for too long: there is nothing to wait for.
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
    // It would ask a node at random, and wait for one that hangs as long as it hangs. A cluster that is down says so to each check.
    enableReadyCheck: false,
    // ioredis's word for sending again what a lost connection left unanswered.
    retryDelayOnFailover: 0,
    // A slot on the move: what cannot be decided yet is soon asked again, or key by key.
    retryDelayOnTryAgain: 10,
    maxRedirections: 5,
    // Without it, ioredis refuses whatever is asked while the connection to one node opens. While it has no node at all, we refuse.
    enableOfflineQueue: true,
    // A certificate is made out to a name, which ioredis would look up first.
    ...(options.tls === undefined ? {} : { dnsLookup: (name, done) => done(null, name) }),
    redisOptions: {
      ...node,
      autoResendUnfulfilledCommands: OWN.autoResendUnfulfilledCommands,
      maxRetriesPerRequest: OWN.maxRetriesPerRequest,
    },
  })
}
