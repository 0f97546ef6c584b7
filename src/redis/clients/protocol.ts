/** The protocol of Redis (RESP), as far as commands need it. */
import { byteLength } from '../../runtime.ts'

/** A word of a command. */
export function bulk(text: string): string {
  return `$${byteLength(text)}\r\n${text}\r\n`
}

/** A command. */
export function commandText(words: readonly string[]): string {
  let text = `*${words.length}\r\n`
  for (const word of words) text += bulk(word)
  return text
}
