/** A result as text and as JSON. */
import type { RateLimitResult } from '../../result.ts'
import { type Colors, duration, printable, table, whole } from '../terminal.ts'

export function resultText(key: string, result: RateLimitResult, colors: Colors): string {
  const { limited, layers, blockedUntil } = result
  const state = limited
    ? colors.red(blockedUntil === undefined ? 'limited' : `blocked until ${blockedUntil.toISOString()}`)
    : colors.green('not limited')
  const rows = layers.map((layer) => [
    String(layer.quota),
    `${whole(layer.remaining)} of ${whole(layer.limit)}`,
    duration(layer.nextAfter),
    duration(layer.resetAfter),
    layer.limited ? duration(layer.retryAfter) : '-',
  ])
  const head = ['quota', 'left', 'one more in', 'all back in', 'retry in']
  return `${printable(key)} is ${state}\n${table(head, rows, colors)}`
}

/** JSON has no Infinity: a time that never comes is null. */
export function resultJson(key: string, result: RateLimitResult): string {
  const { limited, layers, blockedUntil } = result
  return JSON.stringify(
    { key, limited, blockedUntil, ...numbersOf(result), layers: layers.map(numbersOf) },
    undefined,
    2,
  )
}

function numbersOf({ limited, limit, remaining, resetAfter, retryAfter, nextAfter, quota }: RateLimitResult): object {
  return { quota: String(quota), limited, limit, remaining, resetAfter, retryAfter, nextAfter }
}
