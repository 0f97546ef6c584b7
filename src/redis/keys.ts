/** The names of our keys in Redis: `<prefix>:{<tag>}…`, so that all layers of a key share a slot and none reaches another's. */
import { checkText, named } from '../arguments.ts'
import { encodeKey } from '../stores/state-key.ts'

/** What decides in which slot a key lies, where it is not the key itself. */
export type HashTag = (key: string) => string

/** @throws TypeError or RangeError for a prefix that could not be told from the rest of a key. */
export function checkPrefix(prefix: unknown): asserts prefix is string {
  checkText('prefix', prefix)
  // UTF-8 has one form for all lone surrogates, so they would share their keys.
  if (prefix === '' || /[{}]/.test(prefix) || !prefix.isWellFormed()) {
    throw new RangeError(
      `prefix must be a text that is not empty and holds no braces and no lone surrogates, got ${named(prefix)}`,
    )
  }
}

export class KeyNames {
  /** What all names start with. */
  readonly start: string
  readonly #tag: HashTag | undefined

  constructor(prefix: string, tag: HashTag | undefined) {
    this.start = `${prefix}:{`
    this.#tag = tag
  }

  /** True where a function of the user's chooses tags, which may throw. */
  get tagsAreChosen(): boolean {
    return this.#tag !== undefined
  }

  /** What comes before the suffix of a state: `<prefix>:{<key>`, or `<prefix>:{<tag>}<key>` with a tag of its own. */
  stem(key: string): string {
    const encoded = encodeKey(key)
    return this.#tag === undefined ? this.start + encoded : `${this.start}${this.#tagOf(this.#tag, key)}}${encoded}`
  }

  /** The hash tag of a key's names: it alone decides the slot. */
  tag(key: string): string {
    return this.#tag === undefined ? encodeKey(key) : this.#tagOf(this.#tag, key)
  }

  /** The record of a store's last call at one of its places, in the slot of the call. */
  record(tag: string, place: string): string {
    return `${this.start}${tag}}:call:${place}`
  }

  #tagOf(tag: HashTag, key: string): string {
    const text: unknown = tag(key)
    checkText('the hash tag', text)
    if (text === '') throw new RangeError(`the hash tag of ${named(key)} must not be empty, got ''`)
    return encodeKey(text)
  }
}

/** One of `shards` tags for each key, the same in every process. */
export function shardTag(shards: number): HashTag {
  return (key) => {
    // FNV-1a, as it stands in every process and version: another function would forget all state.
    let hash = 0x811c9dc5
    for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
    return String((hash >>> 0) % shards)
  }
}
