/** Key names in Redis: `<prefix>:{<tag>}…`. The hash tag puts all layers of a key into one slot; encoding keeps different keys apart. */
import { checkText, named } from '../arguments.ts'
import { byteLength } from '../runtime.ts'
import { encodeKey } from '../stores/state-key.ts'
import { sha256Base64Url } from './digest.ts'

/** The longest key or hash tag that is stored whole, in bytes of UTF-8 after encoding. A longer one is cut and digested. */
const LONGEST_WHOLE = 200

/** How much of the start of a longer key stays readable, in bytes after encoding. */
const LONGEST_START = 100

/** Keys that need no encoding, which are most keys: short printable ASCII without `%`, `{` and `}`. */
const PLAIN = /^[ -$&-z|~]{1,200}$/

const NONE = /^(?!)/

/** Chooses the hash tag of a key, which alone decides the key's slot in a cluster. */
export type HashTag = (key: string) => string

/** @throws TypeError or RangeError for a prefix that is empty or would make key names ambiguous. */
export function checkPrefix(prefix: unknown): asserts prefix is string {
  checkText('prefix', prefix)
  // UTF-8 encodes all lone surrogates alike, so prefixes that differ in one would share keys.
  if (prefix === '' || /[{}]/.test(prefix) || !prefix.isWellFormed()) {
    throw new RangeError(
      `prefix must be a text that is not empty and holds no braces and no lone surrogates, got ${named(prefix)}`,
    )
  }
}

export class KeyNames {
  /** The start of every key name: `<prefix>:{`. */
  readonly start: string
  /** The key of the names of states: `<prefix>:names`. */
  readonly ofStates: string
  /** Keys whose stem is `start` and the key as it is. They need no call of `stem`. */
  readonly plain: RegExp
  readonly #tag: HashTag | undefined

  constructor(prefix: string, tag: HashTag | undefined) {
    this.start = `${prefix}:{`
    this.ofStates = `${prefix}:names`
    this.plain = tag === undefined ? PLAIN : NONE
    this.#tag = tag
  }

  /** True if a function chooses the tags. A user's function may throw. */
  get tagsAreChosen(): boolean {
    return this.#tag !== undefined
  }

  /** The name of the key's value, which holds all its small states: `<prefix>:{<key>}`, or `<prefix>:{<tag>}<key>}` where tags are chosen. */
  value(key: string): string {
    return `${this.stem(key)}}`
  }

  /** The start of all names of the key, up to the brace: `<prefix>:{<key>`, or `<prefix>:{<tag>}<key>` where tags are chosen. */
  stem(key: string): string {
    if (this.plain.test(key)) return this.start + key
    const encoded = encodeForRedis(key)
    return this.#tag === undefined ? this.start + encoded : `${this.start}${this.#tagOf(this.#tag, key)}}${encoded}`
  }

  /** The hash tag in a key's names, which alone decides the slot. */
  tag(key: string): string {
    return this.#tag === undefined ? encodeForRedis(key) : this.#tagOf(this.#tag, key)
  }

  /** The key of a resend record, which holds the reply to the last call at one index in flight. The tag puts the key into the call's slot. */
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

/** Encodes a text; a long text becomes its start and a digest, so that a caller who sends huge keys cannot fill Redis with them. */
function encodeForRedis(text: string): string {
  if (text.length > LONGEST_WHOLE) return digested(text)
  const encoded = encodeKey(text)
  // Most texts need no counting of bytes, because a UTF-16 unit takes at most three bytes of UTF-8.
  const isLong = encoded.length * 3 > LONGEST_WHOLE && byteLength(encoded) > LONGEST_WHOLE
  return isLong ? digested(text) : encoded
}

/** `<start>%…<SHA-256>`. No whole text looks like this, because encoding follows each `%` by `25`, `7B`, `7D` or `u`. */
function digested(text: string): string {
  return `${readableStart(text)}%…${sha256Base64Url(text)}`
}

function readableStart(text: string): string {
  let start = ''
  let bytes = 0
  for (const character of text) {
    const encoded = encodeKey(character)
    bytes += byteLength(encoded)
    if (bytes > LONGEST_START) break
    start += encoded
  }
  return start
}

/** Spreads keys over `shards` hash tags, alike in every process. */
export function shardTag(shards: number): HashTag {
  return (key) => {
    // FNV-1a. Never change the function, because a key with another tag loses its state.
    let hash = 0x811c9dc5
    for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
    return String((hash >>> 0) % shards)
  }
}
