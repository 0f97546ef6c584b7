/**
 * A store in one memcached server: `get`, `set`, and an atomic `compareAndSwap` by its `cas`, so that any number of processes
 * share quotas. memcached forgets what it has no memory for, long before its time: give it enough.
 */
import { createHash } from 'node:crypto'
import { createNode, type MemcacheNode } from 'memcache'
import { BaseStore, InvalidStoreUrlError, LimitData, MismatchedDataError, StoreUnavailableError } from 'onrush'

export interface MemcachedStoreOptions {
  readonly host: string
  /** Default 11211. */
  readonly port?: number
  /** The start of all keys: up to 100 letters, digits, `_`, `.` and `-`. Default `onrush`. */
  readonly prefix?: string
  /** ms without an answer after which the connection is given up. Default 1000. */
  readonly timeout?: number
}

/** The value and token that the server holds under a key. */
interface Found {
  readonly data: LimitData | undefined
  /** Changes with the value; `undefined`: there is none. */
  readonly token: string | undefined
}

/** The longest key, in bytes. */
const MAXIMUM_KEY = 250
/** In seconds: what is longer, the server takes for a date. */
const MAXIMUM_LIFETIME = 30 * 86_400
/** The last date that it can read, in seconds since the epoch. */
const LAST_DATE = 2 ** 31 - 1

export class MemcachedStore extends BaseStore {
  static readonly schemes = ['memcached']

  /** `memcached://host:port?prefix=app&timeout=500` */
  static fromUrl(url: string): MemcachedStore {
    const { hostname, port, username, pathname, searchParams } = readUrl(url)
    const { prefix, timeout, ...unknown } = Object.fromEntries(searchParams)
    if (hostname === '' || username !== '' || !/^\/?$/.test(pathname) || Object.keys(unknown).length > 0) {
      throw new InvalidStoreUrlError(url, 'expected memcached://host:port, with prefix and timeout as its options')
    }
    return new MemcachedStore({
      host: hostname.replace(/^\[|\]$/g, ''),
      ...(port === '' ? {} : { port: Number(port) }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(timeout === undefined ? {} : { timeout: Number(timeout) }),
    })
  }

  readonly #node: MemcacheNode
  readonly #prefix: string
  #connecting: Promise<void> | undefined

  constructor({ host, port = 11_211, prefix = 'onrush', timeout = 1000 }: MemcachedStoreOptions) {
    super({ timeout })
    if (!/^[\w.-]{1,100}$/.test(prefix)) throw new RangeError(`prefix must match [\\w.-]{1,100}, got '${prefix}'`)
    if (!(timeout > 0)) throw new RangeError(`timeout must be a number of milliseconds above 0, got ${timeout}`)
    this.#node = createNode(host, port, { timeout })
    this.#prefix = prefix
  }

  async get(key: string): Promise<LimitData | undefined> {
    return (await this.#find(this.#name(key))).data
  }

  async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    const answer = await this.#write('set', this.#name(key), data, ttl)
    if (answer !== 'STORED') throw new StoreUnavailableError(`memcached answered ${answer} to set`)
    return data
  }

  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    const name = this.#name(key)
    const found = await this.#find(name)
    const fresh = found.data === undefined ? old === undefined : found.data.equals(old)
    if (!fresh) throw new MismatchedDataError(old, found.data)
    const answer = await this.#write(found.token === undefined ? 'add' : 'cas', name, data, ttl, found.token)
    if (answer === 'STORED') return data
    throw new MismatchedDataError(old, (await this.#find(name)).data)
  }

  override async delete(key: string): Promise<void> {
    const name = this.#name(key)
    await this.#ask((node) => node.command(`delete ${name}`))
  }

  override async close(): Promise<void> {
    await this.#node.disconnect()
  }

  /**
   * The answer of `gets`, in one round trip. The client's own `gets` leaves out the token, so that comes from `mg`. It comes first:
   * a value that was changed in between has another token by then, and is not swapped.
   */
  async #find(name: string): Promise<Found> {
    const [token, values] = await this.#ask((node) =>
      Promise.all([node.command(`mg ${name} c`), node.command(`get ${name}`, { isMultiline: true })]),
    )
    const [text]: unknown[] = Array.isArray(values) ? values : []
    return { token: /^HD c(\d+)$/.exec(String(token))?.[1], data: typeof text === 'string' ? read(text) : undefined }
  }

  #write(
    command: 'set' | 'add' | 'cas',
    name: string,
    data: LimitData,
    ttl: number | undefined,
    token = '',
  ): Promise<unknown> {
    const text = JSON.stringify(data)
    const line = `${command} ${name} 0 ${expiry(ttl)} ${Buffer.byteLength(text)} ${token}`.trimEnd()
    return this.#ask((node) => node.command(`${line}\r\n${text}`))
  }

  /** Errors of the connection and of the server are those of a store, so that a `FailoverStore` takes over. */
  async #ask<T>(question: (node: MemcacheNode) => Promise<T>): Promise<T> {
    try {
      if (!this.#node.isConnected()) await this.#connect()
      return await question(this.#node)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new StoreUnavailableError(`memcached could not be asked: ${reason}`, { cause })
    }
  }

  /** One attempt for all who ask meanwhile: the client would open a connection for each. */
  #connect(): Promise<void> {
    this.#connecting ??= this.#node.reconnect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  /** The server takes no spaces, control characters or long keys: such a key is hashed. No hash looks like a key that is not. */
  #name(key: string): string {
    const name = `${this.#prefix}:${key}`
    if (name.length <= MAXIMUM_KEY && /^[\x21-\x7e]+$/.test(name)) return name
    // Of the UTF-16, for UTF-8 has no half surrogates.
    return `${this.#prefix}#${createHash('sha256').update(key, 'utf16le').digest('base64url')}`
  }
}

/** In the server's seconds; 0: never. Its clock ticks once a second, so the first second may be over at once. */
function expiry(ttl: number | undefined): number {
  if (ttl === undefined) return 0
  const seconds = Math.ceil(ttl / 1000) + 1
  if (seconds <= MAXIMUM_LIFETIME) return seconds
  const date = Math.ceil(Date.now() / 1000) + seconds
  return date <= LAST_DATE ? date : 0
}

function readUrl(url: string): URL {
  if (URL.canParse(url)) return new URL(url)
  throw new InvalidStoreUrlError(url, 'expected a text such as memcached://localhost:11211')
}

/** A text that is not a record reads as none. */
function read(text: string): LimitData | undefined {
  try {
    return LimitData.fromJSON(text)
  } catch {
    return undefined
  }
}
