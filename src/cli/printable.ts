/**
 * Texts that others chose, such as keys and lines of logs, as the terminal may show them: control characters are escaped, because the terminal
 * would obey them. The escapes of a key can be read back, so that a key is given as it was shown.
 */
import { checkKey } from '../arguments.ts'
import { UsageError } from './exit-codes.ts'

/** Control and format characters, lone surrogates, line and paragraph separators, and a backslash that would read as the start of an escape. */
const ESCAPED = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]|\\(?=u\{)/gu
const ESCAPE = /\\u\{([0-9a-f]{1,6})\}/g

/** @param longest how many UTF-16 units are shown at most */
export function printable(text: string, longest = 120): string {
  const shown = text.replace(ESCAPED, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
  return shown.length > longest ? `${shown.slice(0, longest - 1)}…` : shown
}

/** Escapes what `printable` escapes but line breaks, and shortens nothing. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => printable(line, Number.POSITIVE_INFINITY))
    .join('\n')
}

/**
 * The key of an argument, whose control characters are escaped as `printable` does.
 * @throws RangeError for an empty or too long key
 * @throws UsageError for a key that holds control characters themselves, which are more often a mistake of the shell than meant
 */
export function keyIn(argument: string): string {
  checkKey(argument)
  if (/\p{Cc}/u.test(argument)) {
    throw new UsageError(
      `key must hold no control characters but as escapes such as \\u{1b}, got ${printable(argument)}`,
    )
  }
  // Only what `printable` escapes is read as an escape, so that no other key is meant by a key that looks like escapes.
  return argument.replace(ESCAPE, (shown, code: string) => {
    if (shown === BACKSLASH) return '\\'
    const point = Number.parseInt(code, 16)
    const character = point <= 0x10ffff ? String.fromCodePoint(point) : shown
    return printable(character) === shown ? character : shown
  })
}

const BACKSLASH = '\\u{5c}'

/** How commands describe the argument that `keyIn` reads. */
export const KEY_DESCRIPTION = 'the key, such as user:42; a control character as ls shows it, such as \\u{1b}'
