/** Parses a Redis URL into servers, credentials, database and options of the store. */
import { InvalidStoreUrlError } from '../errors.ts'
import {
  asDuration,
  asFlag,
  asText,
  asWhole,
  decoded,
  readOptions,
  type StoreUrl,
  splitStoreUrl,
} from '../store-url.ts'

export interface Host {
  readonly host: string
  readonly port: number
}

export type Servers =
  | { readonly kind: 'server'; readonly host: Host }
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'cluster'; readonly hosts: readonly Host[] }
  | { readonly kind: 'sentinel'; readonly hosts: readonly Host[]; readonly name: string }

export interface RedisUrl {
  readonly servers: Servers
  readonly username: string | undefined
  readonly password: string | undefined
  /** `undefined`: the URL names none. */
  readonly db: number | undefined
  readonly options: RedisUrlOptions
}

/** Options allowed in the query. Those that `RedisStoreOptions` has too mean the same here. */
const OPTIONS = {
  prefix: asText,
  timeout: asDuration,
  shards: asWhole,
  resend: asFlag,
  /** IP version to resolve host names for: 4, 6, or 0 for both. */
  family: asWhole,
}

const OVER_NETWORK = {
  ...OPTIONS,
  /** Use TLS, as `rediss:` does. */
  tls: asFlag,
}

const ON_CLUSTER = { ...OVER_NETWORK, acrossSlots: asFlag }

const ON_SENTINELS = { ...OVER_NETWORK, sentinelUsername: asText, sentinelPassword: asText }

const ALL = { ...ON_CLUSTER, ...ON_SENTINELS }

export type RedisUrlOptions = Partial<{ [Name in keyof typeof ALL]: ReturnType<(typeof ALL)[Name]> }>

const SERVER_PORT = 6379
const SENTINEL_PORT = 26_379
const NOWHERE = { hostname: '', port: '' }

type Read = (url: StoreUrl, hosts: string) => Pick<RedisUrl, 'servers' | 'db' | 'options'>

const SCHEMES: ReadonlyMap<string, Read> = new Map([
  ['redis', (url, hosts) => ({ ...server(url, hosts), options: readOptions(url, OVER_NETWORK) })],
  ['rediss', (url, hosts) => ({ ...server(url, hosts), options: { ...readOptions(url, OPTIONS), tls: true } })],
  ['redis+unix', socket],
  ['redis+cluster', cluster],
  ['redis+sentinel', sentinel],
] satisfies [string, Read][])

/** The schemes of URLs that `RedisStore` takes. */
export const REDIS_SCHEMES: readonly string[] = [...SCHEMES.keys()]

/** @throws InvalidStoreUrlError */
export function readRedisUrl(text: string): RedisUrl {
  const url = splitStoreUrl(text)
  const read = SCHEMES.get(url.scheme)
  if (read === undefined) {
    throw new InvalidStoreUrlError(text, `RedisStore takes ${REDIS_SCHEMES.map((scheme) => `${scheme}:`).join(', ')}`)
  }
  const at = url.authority.lastIndexOf('@')
  const [user = '', ...password] = url.authority.slice(0, Math.max(at, 0)).split(':')
  return {
    ...read(url, url.authority.slice(at + 1)),
    username: user === '' ? undefined : decoded(url, user),
    password: password.length === 0 ? undefined : decoded(url, password.join(':')),
  }
}

function server(url: StoreUrl, text: string): Pick<RedisUrl, 'servers' | 'db'> {
  const [host, another] = hosts(url, text, SERVER_PORT)
  if (host === undefined || another !== undefined) throw new InvalidStoreUrlError(url.text, 'expected one host')
  return { servers: { kind: 'server', host }, db: database(url, url.path.slice(1)) }
}

function socket(url: StoreUrl, text: string): ReturnType<Read> {
  if (text !== '' || url.path.length < 2) {
    throw new InvalidStoreUrlError(url.text, "expected the path of a socket, such as 'redis+unix:///run/redis.sock'")
  }
  const { db, ...options } = readOptions(url, { ...OPTIONS, db: asWhole })
  return { servers: { kind: 'socket', path: decoded(url, url.path) }, db, options }
}

function cluster(url: StoreUrl, text: string): ReturnType<Read> {
  if ((database(url, url.path.slice(1)) ?? 0) !== 0)
    throw new InvalidStoreUrlError(url.text, 'a cluster has database 0 only')
  return {
    servers: { kind: 'cluster', hosts: hosts(url, text, SERVER_PORT) },
    db: 0,
    options: readOptions(url, ON_CLUSTER),
  }
}

function sentinel(url: StoreUrl, text: string): ReturnType<Read> {
  const [, name = '', db = '', ...rest] = url.path.split('/')
  if (name === '' || rest.length > 0) {
    throw new InvalidStoreUrlError(url.text, "expected the master's name after the hosts, such as '/mymaster/0'")
  }
  return {
    servers: { kind: 'sentinel', hosts: hosts(url, text, SENTINEL_PORT), name: decoded(url, name) },
    db: database(url, db),
    options: readOptions(url, ON_SENTINELS),
  }
}

function database(url: StoreUrl, text: string): number | undefined {
  if (text === '') return undefined
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new InvalidStoreUrlError(url.text, 'expected the number of a database after the host')
}

/** `h1:1,h2:2,[::1]:3` */
function hosts(url: StoreUrl, text: string, defaultPort: number): Host[] {
  return text.split(',').map((part) => {
    const { hostname, port } = URL.canParse(`redis://${part}`) ? new URL(`redis://${part}`) : NOWHERE
    // The error does not quote the part, because it may belong to a password that should have been percent-encoded.
    // A host with `%` is refused for the same reason: with an encoded '@', the text before it is a password.
    if (hostname === '' || hostname.includes('%') || port === '0')
      throw new InvalidStoreUrlError(url.text, 'expected a host, or host:port')
    return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) }
  })
}
