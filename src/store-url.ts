/**
 * What the URLs of all stores have in common: a scheme, a place, and options in the query that are typed by one table.
 * An unknown option is an error that lists the known ones; no error shows a password.
 */

import { type Duration, microseconds } from './duration.ts'
import { InvalidStoreUrlError } from './errors.ts'
import { isSimple } from './secrets.ts'

export interface StoreUrl {
  /** As it was given. */
  readonly text: string
  /** In lower case, without its colon. */
  readonly scheme: string
  /** Between `//` and the first `/` or `?`. */
  readonly authority: string
  /** From the first `/` on, or empty. */
  readonly path: string
  readonly query: URLSearchParams
}

const URL_TEXT = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)([^?]*)(?:\?(.*))?$/is

/**
 * Takes a URL apart; several hosts may stand in it, which `URL` cannot read.
 * @throws InvalidStoreUrlError
 */
export function splitStoreUrl(text: string): StoreUrl {
  const [, scheme, authority = '', path = '', query = ''] = URL_TEXT.exec(text) ?? []
  if (scheme === undefined) throw new InvalidStoreUrlError(text, "expected a text such as 'redis://localhost:6379'")
  if (/#/.test(text) || /@/.test(path + query)) {
    throw new InvalidStoreUrlError(
      text,
      "'@', '/', '?' and '#' in a password or an option are written %40, %2F, %3F and %23",
    )
  }
  return { text, scheme: scheme.toLowerCase(), authority, path, query: new URLSearchParams(query) }
}

/** How each option's text is read; a reader throws a RangeError for what it cannot read. */
export type OptionTable<Options> = { readonly [Name in keyof Options]: (text: string) => Options[Name] }

/**
 * The options in the query of a URL, by their table.
 * @throws InvalidStoreUrlError for an option that is unknown, given twice, or unreadable.
 */
export function readOptions<Options>({ text, query }: StoreUrl, table: OptionTable<Options>): Partial<Options> {
  for (const [name, value] of query) {
    if (Object.hasOwn(table, name)) continue
    const known = Object.keys(table).join(', ')
    // What has no value may be the rest of a password in which '?' or '&' should have been encoded.
    const unknown = value !== '' && isSimple(name) ? `unknown option ${name}` : 'unknown option'
    throw new InvalidStoreUrlError(text, `${unknown}; ${known === '' ? 'it takes none' : `known are ${known}`}`)
  }
  const options: Partial<Options> = {}
  for (const name in table) {
    const [given, another] = query.getAll(name)
    if (another !== undefined) throw new InvalidStoreUrlError(text, `option ${name} is given twice`)
    if (given === undefined) continue
    try {
      options[name] = table[name](given)
    } catch (error) {
      throw new InvalidStoreUrlError(text, `option ${name}: ${isSimple(given) ? reasonOf(error) : 'it cannot be read'}`)
    }
  }
  return options
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function asText(text: string): string {
  return text
}

export function asWhole(text: string): number {
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
  throw new RangeError(`expected a whole number, got '${text}'`)
}

/** Milliseconds: `250`, or a text such as `6h`. */
export function asDuration(text: string): number {
  const duration: Duration = /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
  return microseconds(duration) / 1000
}

export function asFlag(text: string): boolean {
  if (text === 'true' || text === '1' || text === '') return true
  if (text === 'false' || text === '0') return false
  throw new RangeError(`expected true or false, got '${text}'`)
}

/** The text that percent-encoding stands for. @throws InvalidStoreUrlError where it is no such encoding. */
export function decoded(url: StoreUrl, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new InvalidStoreUrlError(url.text, "'%' must be followed by two hexadecimal digits, or be written %25")
  }
}
