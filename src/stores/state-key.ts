/** Names under which stores keep states: no key can reach another's, whatever characters it holds. */
import { type Layer, stateNameOf } from '../algorithms/driver.ts'

const SPECIAL = /[%{}\uD800-\uDFFF]/

/** `%`, `{`, `}` and lone surrogates as `%25`, `%7B`, `%7D`, `%uD800`; all else as it is. */
export function encodeKey(key: string): string {
  if (!SPECIAL.test(key)) return key
  // One pass that calls nothing for a character: `replace` with a function takes seven times as long on a key of 64 KiB.
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

/** What stands for a UTF-16 unit that is no half of a pair; `undefined`: the unit itself. */
function escapeOf(unit: number): string | undefined {
  if (unit === 0x25) return '%25'
  if (unit === 0x7b) return '%7B'
  if (unit === 0x7d) return '%7D'
  return (unit & 0xf800) === 0xd800 ? `%u${unit.toString(16).toUpperCase()}` : undefined
}

function isPairAt(key: string, index: number, unit: number): boolean {
  return (unit & 0xfc00) === 0xd800 && (key.charCodeAt(index + 1) & 0xfc00) === 0xdc00
}

/** `}:<algorithm>:<state name>`: what follows the encoded key. */
export function stateSuffix(layer: Layer): string {
  return `}:${stateNameOf(layer)}`
}
