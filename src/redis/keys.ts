/** The names of our keys in Redis: `<prefix>:{<tag>}…`, so that all layers of a key share a slot and none reaches another's. */
import { createHash } from 'node:crypto'
import { checkText, named } from '../arguments.ts'
import { encodeKey } from '../stores/state-key.ts'

/** A key, or a hash tag, stands whole in Redis as long as its encoded form has at most so many bytes of UTF-8. */
const LONGEST_WHOLE = 200

/** How much of the start of a longer one stays readable, in bytes of its encoded form. */
const LONGEST_START = 100

/** Most keys: such a text stands as it is. */
const PLAIN = /^[ -$&-z|~]{1,200}$/

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
    if (this.#tag === undefined && PLAIN.test(key)) return this.start + key
    const encoded = encodeForRedis(key)
    return this.#tag === undefined ? this.start + encoded : `${this.start}${this.#tagOf(this.#tag, key)}}${encoded}`
  }

  /** The hash tag of a key's names: it alone decides the slot. */
  tag(key: string): string {
    return this.#tag === undefined ? encodeForRedis(key) : this.#tagOf(this.#tag, key)
  }

  /** The record of the last call of one of a store's indexes in flight, in the slot of the call. */
  record(tag: string, call: string): string {
    return `${this.start}${tag}}:call:${call}`
  }

  #tagOf(tag: HashTag, key: string): string {
    const text: unknown = tag(key)
    checkText('the hash tag', text)
    if (text === '') throw new RangeError(`the hash tag of ${named(key)} must not be empty, got ''`)
    return encodeForRedis(text)
  }
}

/** The encoded form of a text; of a long one its start and a digest, so that who makes up keys cannot fill Redis with one each. */
function encodeForRedis(text: string): string {
  if (text.length > LONGEST_WHOLE) return digested(text)
  const encoded = encodeKey(text)
  // A UTF-16 unit is at most three bytes, so most texts need no counting.
  const isLong = encoded.length * 3 > LONGEST_WHOLE && Buffer.byteLength(encoded) > LONGEST_WHOLE
  return isLong ? digested(text) : encoded
}

/** `<start>%…<SHA-256>`. No text that stands whole has this form, because each `%` is followed by `25`, `7B`, `7D` or `u` there. */
function digested(text: string): string {
  // UTF-16, because UTF-8 has one form for all lone surrogates.
  return `${readableStart(text)}%…${createHash('sha256').update(text, 'utf16le').digest('base64url')}`
}

function readableStart(text: string): string {
  let start = ''
  let bytes = 0
  for (const character of text) {
    const encoded = encodeKey(character)
    bytes += Buffer.byteLength(encoded)
    if (bytes > LONGEST_START) break
    start += encoded
  }
  return start
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
