/** Makes stores from URLs: built-in ones and registered ones. Separate from the stores, so that no store imports another. */
import { checkText, itemsOf, named, notInstance } from './arguments.ts'
import { InvalidStoreUrlError } from './errors.ts'
import { RedisStore } from './redis/store.ts'
import { REDIS_SCHEMES } from './redis/url.ts'
import { asDuration, asWhole, readOptions, type StoreUrl, splitStoreUrl } from './store-url.ts'
import { BaseStore } from './stores/base.ts'
import { DictionaryStore } from './stores/in-process/dictionary.ts'
import { TlruCacheStore } from './stores/in-process/tlru-cache.ts'

/** A class of stores that can be made from a URL. */
export interface StoreClass {
  /** Schemes without their colon: `['mydb']`. */
  readonly schemes: readonly string[]
  /** A store by a URL of one of the schemes. */
  fromUrl(url: string): BaseStore
}

/** The most schemes of one class. */
const MAXIMUM_SCHEMES = 100

const SCHEME = /^[a-z][a-z0-9+.-]*$/

/** The function that makes a store, by scheme. */
const makers = new Map<string, (url: string) => BaseStore>([
  ['memory', memory],
  ['tlru', tlru],
  ...REDIS_SCHEMES.map((scheme) => [scheme, (url: string) => new RedisStore({ url })] as const),
])

/**
 * The store that a URL names: `redis://host:6379/0`, `rediss:`, `redis+unix:///path/to.sock?db=0`, `redis+cluster://h1:1,h2:2`,
 * `redis+sentinel://h1:1,h2:2/mymaster/0`, `memory://`, `tlru://?maxSize=10000&ttl=6h`, or a registered scheme. Options stand in
 * the query. Characters with a special meaning in a URL are percent-encoded.
 * @throws InvalidStoreUrlError for a scheme or option that is not known, or a URL that cannot be read; it shows no password.
 * @throws RangeError for a value that the store refuses.
 */
export function storeFromUrl(url: string): BaseStore {
  checkText('url', url)
  const scheme = /^[^:]*(?=:)/.exec(url)?.[0].toLowerCase()
  const make = scheme === undefined ? undefined : makers.get(scheme)
  if (make === undefined) {
    throw new InvalidStoreUrlError(url, `its scheme is not known; known are ${[...makers.keys()].join(', ')}`)
  }
  const store: unknown = make(url)
  if (!(store instanceof BaseStore)) throw notInstance('fromUrl must return a store', BaseStore, store)
  return store
}

/**
 * Lets `storeFromUrl` make stores of your own.
 * @throws TypeError for a class without `schemes` and `fromUrl`, RangeError for a scheme that is taken or cannot be one.
 */
export function registerStore(storeClass: StoreClass): void {
  if (typeof storeClass?.fromUrl !== 'function' || !Array.isArray(storeClass.schemes)) {
    throw new TypeError(`a registered store must have static schemes and fromUrl, got ${named(storeClass)}`)
  }
  const schemes = itemsOf('schemes', storeClass.schemes, MAXIMUM_SCHEMES)
  const texts = schemes.map((scheme) => {
    checkText('scheme', scheme)
    if (!SCHEME.test(scheme)) throw new RangeError(`scheme must match ${SCHEME.source}, got ${named(scheme)}`)
    if (makers.has(scheme)) throw new RangeError(`the scheme ${scheme} is taken`)
    return scheme
  })
  if (texts.length === 0 || new Set(texts).size < texts.length) {
    throw new RangeError(`schemes must be at least one, each once, got ${named(schemes)}`)
  }
  for (const scheme of texts) makers.set(scheme, (url) => storeClass.fromUrl(url))
}

function memory(text: string): DictionaryStore {
  readOptions(withoutPlace(text), {})
  return new DictionaryStore()
}

function tlru(text: string): TlruCacheStore {
  const { maxSize, ttl } = readOptions(withoutPlace(text), { maxSize: asWhole, ttl: asDuration })
  if (maxSize === undefined || ttl === undefined) {
    throw new InvalidStoreUrlError(text, "maxSize and ttl are needed, as in 'tlru://?maxSize=10000&ttl=6h'")
  }
  return new TlruCacheStore({ maxSize, ttl })
}

function withoutPlace(text: string): StoreUrl {
  const url = splitStoreUrl(text)
  if (url.authority !== '' || !/^\/?$/.test(url.path)) {
    throw new InvalidStoreUrlError(text, 'a store in memory has no host and no path')
  }
  return url
}
