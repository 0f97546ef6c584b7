/** A value as text, for errors. */
import { builtin } from './runtime.ts'

const inspect = builtin('node:util')?.inspect

/** On one line, without what is nested. May throw, as a proxy or a getter does that is looked at. */
export function inspected(value: unknown): string {
  return inspect === undefined
    ? plainly(value)
    : inspect(value, {
        depth: 0,
        breakLength: Number.POSITIVE_INFINITY,
        maxStringLength: 80,
        maxArrayLength: 4,
        customInspect: false,
      })
}

/** Where the runtime cannot inspect, as in browsers. */
function plainly(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length > 80 ? `'${value.slice(0, 80)}'...` : `'${value}'`
    case 'bigint':
      return `${value}n`
    case 'function':
      return `[Function: ${value.name}]`
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return `[ ${value.slice(0, 4).map(plainly).join(', ')} ]`
      return `{ ${Object.keys(value).join(', ')} }`
    default:
      return String(value)
  }
}
