/**
 * Parses the parts that all store URLs share: scheme, authority, path, and options in the query, which a table types.
 * An unknown option is an error that lists the known ones. No error shows a password.
 */

import { type Duration, microseconds } from './duration.ts'
import { InvalidStoreUrlError } from './errors.ts'
import { isSimple } from './secrets.ts'

export interface StoreUrl {
  /** The URL as given. */
  readonly text: string
  /** The scheme in lower case, without its colon. */
  readonly scheme: string
  /** The part between `//` and the first `/` or `?`. */
  readonly authority: string
  /** The part from the first `/` up to the query, or empty. */
  readonly path: string
  readonly query: URLSearchParams
}

const URL_TEXT = /^([a-z][a-z0-9+.-]*):\/\/([^/?]*)([^?]*)(?:\?(.*))?$/is

/**
 * Splits a URL. Not by `URL`, because that cannot read several hosts.
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

/** For each option the function that parses its text. It throws a RangeError for a text that it cannot parse. */
export type OptionTable<Options> = { readonly [Name in keyof Options]: (text: string) => Options[Name] }

/**
 * Parses the options in the query of a URL by a table.
 * @throws InvalidStoreUrlError for an option that is unknown, given twice, or unreadable.
 */
export function readOptions<Options>({ text, query }: StoreUrl, table: OptionTable<Options>): Partial<Options> {
  for (const [name, value] of query) {
    if (Object.hasOwn(table, name)) continue
    const known = Object.keys(table).join(', ')
    // A name without a value is not shown, because it may be the rest of a password in which '?' or '&' should have been encoded.
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

/** Parses milliseconds (`250`) or a duration (`6h`) into milliseconds. */
export function asDuration(text: string): number {
  const duration: Duration = /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
  return microseconds(duration) / 1000
}

export function asFlag(text: string): boolean {
  if (text === 'true' || text === '1' || text === '') return true
  if (text === 'false' || text === '0') return false
  throw new RangeError(`expected true or false, got '${text}'`)
}

/** Percent-decodes a part. @throws InvalidStoreUrlError for wrong encoding. */
export function decoded(url: StoreUrl, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new InvalidStoreUrlError(url.text, "'%' must be followed by two hexadecimal digits, or be written %25")
  }
}
