/** Names under which stores keep states. Keys are escaped, so that no two keys share a name, whatever characters they contain. */
import { type Layer, stateNameOf } from '../algorithms/driver.ts'

const SPECIAL = /[%{}\uD800-\uDFFF]/

/** Escapes `%`, `{`, `}` and lone surrogates as `%25`, `%7B`, `%7D` and `%uD800`. All other characters stay. */
export function encodeKey(key: string): string {
  if (!SPECIAL.test(key)) return key
  // A loop on purpose: `replace` with a function takes seven times as long on a key of 64 KiB.
  let encoded = ''
  let copied = 0
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    if (isPairAt(key, index, unit)) {
      index++
      continue
    }
    const written = escapeOf(unit)
    if (written === undefined) continue
    if (copied < index) encoded += key.slice(copied, index)
    encoded += written
    copied = index + 1
  }
  return encoded + key.slice(copied)
}

/** The key that was encoded. */
export function decodeKey(encoded: string): string {
  return encoded.replace(/%(?:(25|7B|7D)|u(D[89A-F][0-9A-F]{2}))/g, (_, byte?: string, unit?: string) =>
    String.fromCharCode(Number.parseInt(byte ?? unit ?? '', 16)),
  )
}

/** The escape of a UTF-16 code unit outside of a surrogate pair. `undefined`: the unit is not escaped. */
function escapeOf(unit: number): string | undefined {
  if (unit === 0x25) return '%25'
  if (unit === 0x7b) return '%7B'
  if (unit === 0x7d) return '%7D'
  return (unit & 0xf800) === 0xd800 ? `%u${unit.toString(16).toUpperCase()}` : undefined
}

function isPairAt(key: string, index: number, unit: number): boolean {
  return (unit & 0xfc00) === 0xd800 && (key.charCodeAt(index + 1) & 0xfc00) === 0xdc00
}

/** The name under which the tickets of a layer with permits are kept, after the encoded key. */
export function ticketsNameOf(layer: Layer): string {
  return `${stateNameOf(layer)}:set`
}

/** The end of a state's name, after the encoded key: `}:<algorithm>:<state name>`. */
export function stateSuffix(layer: Layer): string {
  return `}:${stateNameOf(layer)}`
}

/** Part of the name of data beside the states, such as vacancies: a turn that costs something else in a layer is no turn of others. */
export function costSuffix({ quantity }: Layer): string {
  return quantity === undefined ? '' : `=${quantity}`
}
