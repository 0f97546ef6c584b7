/** Reads the values of options. */
import { Option } from 'commander'
import { UsageError } from './exit-codes.ts'

/** An option that may be given several times, and is none if it is not given. */
export function repeatable(flags: string, description: string, withoutIt = 'none'): Option {
  return new Option(flags, `${description} (repeatable)`)
    .argParser((value: string, previous: readonly string[]) => [...previous, value])
    .default([], withoutIt)
}

/** An option of which help and shells tell the values. Commands check them, whose errors name the nearest. */
export function chosen(flags: string, description: string, values: readonly string[]): Option {
  return withChoices(new Option(flags, description), values)
}

export function withChoices(option: Option, values: readonly string[]): Option {
  option.argChoices = [...values]
  return option
}

/** @throws UsageError */
export function wholeNumber(option: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(number) && number >= least && number <= most) return number
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  throw new UsageError(`${option} must be a whole number ${range}, got ${JSON.stringify(text)}`)
}
