/** What the client says when a command failed, as an error of ours. */
import { StoreError, StoreUnavailableError } from '../errors.ts'
import { withoutCommand } from './connection.ts'
import type { PreparedLayers } from './prepared.ts'

export function unavailable(error: unknown): unknown {
  if (error instanceof StoreError) return error
  const reason = reasonOf(error)
  const advice = reason.startsWith('MOVED ')
    ? ': a node of a cluster was asked as a single server, use redis+cluster:'
    : ''
  return new StoreUnavailableError(`Redis could not decide: ${reason}${advice}`, { cause: withoutCommand(error) })
}

/** Where Lua itself fails, by a line of the script's; what a command says that it calls is told otherwise. */
const LUA_FAILED = /(?<!@)\buser_script:\d+: /

/** A fault of a user's own Lua, which is none of the store's; `undefined`: it is something else. */
export function faultOfTwin(error: unknown, asked: readonly PreparedLayers[]): TypeError | undefined {
  const own = asked.flatMap(({ layers }) => layers.filter(({ lua }) => lua !== undefined))
  if (own.length === 0 || !LUA_FAILED.test(reasonOf(error))) return undefined
  const names = [...new Set(own.map(({ algorithm }) => `'${algorithm.id}'`))].join(' or ')
  return new TypeError(`the Lua twin of the algorithm ${names} failed in Redis: ${reasonOf(error)}`, {
    cause: withoutCommand(error),
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
