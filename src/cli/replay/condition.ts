/** Conditions on lines of a log: `status>=400`, `method=POST`, `path~^/api/`. */
import { named } from '../../arguments.ts'
import { UsageError } from '../exit-codes.ts'
import type { LogEntry } from './log-entry.ts'

export interface Condition {
  readonly field: string
  holds(entry: LogEntry): boolean
}

const TEXT = /^([^<>=!~]+)(<=|>=|!=|=|<|>|~)(.*)$/

/** @throws UsageError for a condition that cannot be read */
export function condition(text: string): Condition {
  const [, name = '', comparison = '', value = ''] = TEXT.exec(text) ?? []
  const field = name.trim()
  if (field === '') {
    throw new UsageError(
      `--where must be a condition such as status>=400, method=POST or path~^/api/, got ${named(text)}`,
    )
  }
  const holds = test(comparison, value.trim(), text)
  return {
    field,
    holds(entry) {
      const found = entry.field(field)
      return found !== undefined && holds(found)
    },
  }
}

function test(comparison: string, value: string, text: string): (found: string) => boolean {
  switch (comparison) {
    case '=':
      return (found) => found === value
    case '!=':
      return (found) => found !== value
    case '~':
      return matching(value, text)
  }
  const number = Number(value)
  if (value === '' || Number.isNaN(number))
    throw new UsageError(`--where must compare with a number, got ${named(text)}`)
  switch (comparison) {
    case '<':
      return (found) => Number(found) < number
    case '<=':
      return (found) => Number(found) <= number
    case '>':
      return (found) => Number(found) > number
    default:
      return (found) => Number(found) >= number
  }
}

function matching(value: string, text: string): (found: string) => boolean {
  try {
    const expression = new RegExp(value)
    return (found) => expression.test(found)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--where must hold a regular expression after ~, got ${named(text)}: ${reason}`)
  }
}
