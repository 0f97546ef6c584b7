/** A result as text and as JSON. */
import type { RateLimitResult } from '../../result.ts'
import { printable } from '../printable.ts'
import { type Colors, colorsOf, duration, jsonText, type Terminal, table, whole } from '../terminal.ts'

/** Writes what became of a key. */
export function writeResult(key: string, result: RateLimitResult, json: boolean | undefined, terminal: Terminal): void {
  const shown = json === true ? jsonText(resultFields(key, result), 2) : resultText(key, result, colorsOf(terminal))
  terminal.stdout.write(`${shown}\n`)
}

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
export function resultFields(key: string, result: RateLimitResult): object {
  const { limited, layers, blockedUntil } = result
  return { key, limited, blockedUntil, ...numbersOf(result), layers: layers.map(numbersOf) }
}

function numbersOf({ limited, limit, remaining, resetAfter, retryAfter, nextAfter, quota }: RateLimitResult): object {
  return { quota: String(quota), limited, limit, remaining, resetAfter, retryAfter, nextAfter }
}
