/**
 * The expression that makes a request's key: fields of the log joined by `+`. A field is a name (`ip`), a header (`header:authorization`), or a pattern of paths
 * (`path:/users/:id/*rest`), whose key is the values of the pattern's names.
 */
import { match } from 'path-to-regexp'
import { named } from '../../arguments.ts'
import { UsageError } from '../exit-codes.ts'
import type { LogEntry } from './log-entry.ts'

/** @returns `undefined` if the line has no such key */
type KeyPart = (entry: LogEntry) => string | undefined

export interface KeyExpression {
  /** Names of fields that a line must have, for errors. */
  readonly fields: readonly string[]
  of(entry: LogEntry): string | undefined
}

const PATH = 'path:'

/** @throws UsageError for an expression that cannot be read */
export function keyExpression(text: string): KeyExpression {
  const parts = text.split('+').map((part) => part.trim())
  if (parts.includes(''))
    throw new UsageError(`--key must be fields joined by +, such as ip or ip+user, got ${named(text)}`)
  const read = parts.map(
    (part): KeyPart => (part.startsWith(PATH) ? pathPart(part.slice(PATH.length)) : fieldPart(part)),
  )
  return {
    fields: parts.map((part) => (part.startsWith(PATH) ? 'path' : part)),
    of: (entry) => joined(read.map((part) => part(entry))),
  }
}

function fieldPart(name: string): KeyPart {
  return (entry) => entry.field(name)
}

function pathPart(pattern: string): KeyPart {
  try {
    const read = match(pattern, { decode: false })
    return (entry) => {
      const found = read(entry.field('path')?.replace(/[?#].*$/, '') ?? '')
      if (found === false) return undefined
      const values = Object.values(found.params).flat()
      return values.length === 0 ? pattern : values.join('/')
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`the path of --key must be a pattern such as /users/:id, got ${named(pattern)}: ${reason}`)
  }
}

function joined(parts: readonly (string | undefined)[]): string | undefined {
  let key = ''
  for (const part of parts) {
    if (part === undefined) return undefined
    key = key === '' ? part : `${key}|${part}`
  }
  return key
}
