/** Names under which stores keep states: no key can reach another's, whatever characters it holds. */
import type { Layer } from '../algorithms/driver.ts'

const SPECIAL = /[%{}\uD800-\uDFFF]/
const ENCODED = /[%{}]|\p{Surrogate}/gu

/** `%`, `{`, `}` and lone surrogates as `%25`, `%7B`, `%7D`, `%uD800`; all else as it is. */
export function encodeKey(key: string): string {
  return SPECIAL.test(key) ? key.replace(ENCODED, encoded) : key
}

function encoded(character: string): string {
  const code = character.charCodeAt(0).toString(16).toUpperCase()
  return code.length > 2 ? `%u${code}` : `%${code}`
}

/** `}:<algorithm>:<state name>`: what follows the encoded key. */
export function stateSuffix(layer: Layer): string {
  return `}:${layer.algorithm.id}:${layer.quota.stateName}`
}
