/** Reads the names of keys in Redis: whose state each holds. */
import { decodeKey, encodeKey } from '../../stores/state-key.ts'

/** The name of a key in Redis, taken apart. */
export interface NamedKey {
  readonly name: string
  /** The user's key. A long key is shown by its start and a digest, because the name holds no more. */
  readonly key: string
  /** `''`: the value that holds the small states. Otherwise the name of a log, of tickets or of other data, such as `moving_window:100-1m`. */
  readonly what: string
}

/** Where the part of a key's name is the encoded key, or a hash tag before the encoded key: `<prefix>:{<key>}…`, `<prefix>:{<tag>}<key>}…`. */
const TAGGED = /^([^{}]*)\}([^{}:][^{}]*)\}(?::(.+))?$/
const PLAIN = /^([^{}]*)\}(?::(.+))?$/

/** @returns `undefined` for a key that is no user's, such as the record of a call sent again */
export function readKeyName(prefix: string, name: string): NamedKey | undefined {
  const start = `${prefix}:{`
  if (!name.startsWith(start)) return undefined
  const rest = name.slice(start.length)
  const tagged = TAGGED.exec(rest)
  const plain = PLAIN.exec(rest)
  const key = tagged?.[2] ?? plain?.[1]
  const what = (tagged === null ? plain?.[2] : tagged[3]) ?? ''
  if (key === undefined || key === '' || what === 'data' || what.startsWith('call:')) return undefined
  return { name, key: keyOf(key), what }
}

/** The name of a long key ends with a digest, and is no encoded key. */
function keyOf(encoded: string): string {
  const key = decodeKey(encoded)
  return encodeKey(key) === encoded ? key : encoded
}

/** Escapes a text for use in a MATCH pattern. */
export function literally(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
