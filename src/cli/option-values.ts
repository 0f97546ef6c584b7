/** Reads the values of options. */
import { Option } from 'commander'
import { UsageError } from './exit-codes.ts'

/** An option that may be given several times, and is none if it is not given. */
export function repeatable(flags: string, description: string, withoutIt = 'none'): Option {
  return new Option(flags, `${description} (repeatable)`)
    .argParser((value: string, previous: readonly string[]) => [...previous, value])
    .default([], withoutIt)
}

/** @throws UsageError */
export function wholeNumber(option: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= least && number <= most) return number
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  throw new UsageError(`${option} must be a whole number ${range}, got ${JSON.stringify(text)}`)
}
