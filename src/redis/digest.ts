/** Digests of scripts and long keys, by Node's crypto where the runtime has it; elsewhere by a library, because WebCrypto answers later. */
import { sha1 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { builtin } from '../runtime.ts'

const crypto = builtin('node:crypto')
const encoder = new TextEncoder()

/** SHA-1 of a text in UTF-8, in hexadecimal digits, as EVALSHA takes it. */
export function sha1Hex(text: string): string {
  if (crypto !== undefined) return crypto.createHash('sha1').update(text).digest('hex')
  return Array.from(sha1(encoder.encode(text)), twoDigits).join('')
}

/** SHA-256 of a text in UTF-16, in URL-safe base64. UTF-16, because UTF-8 encodes all lone surrogates alike. */
export function sha256Base64Url(text: string): string {
  if (crypto !== undefined) return crypto.createHash('sha256').update(text, 'utf16le').digest('base64url')
  const units = new DataView(new ArrayBuffer(text.length * 2))
  for (let index = 0; index < text.length; index++) units.setUint16(index * 2, text.charCodeAt(index), true)
  const bytes = sha256(new Uint8Array(units.buffer))
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

/** 16 random bytes, in hexadecimal digits. */
export function randomHex(): string {
  return Array.from(globalThis.crypto.getRandomValues(new Uint8Array(16)), twoDigits).join('')
}

function twoDigits(byte: number): string {
  return byte.toString(16).padStart(2, '0')
}
