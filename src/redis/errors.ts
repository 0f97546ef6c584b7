/** Translates a client's failure into an onrush error. */
import type { Layer } from '../algorithms/driver.ts'
import { StoreError, StoreUnavailableError, UnsupportedServerError } from '../errors.ts'
import { withoutCommand } from './clients/client.ts'

/** A server before Redis 6.2 rejects command options that the scripts use. */
const TOO_OLD = /\bERR syntax error\b/

/** The server lacks a command: EVALSHA itself, or one that a script calls. */
const NO_COMMAND = /\bunknown (?:redis )?command\b/i

export function unavailable(error: unknown): unknown {
  if (error instanceof StoreError) return error
  const reason = reasonOf(error)
  const lack = TOO_OLD.test(reason) ? 'it is older than Redis 6.2' : NO_COMMAND.test(reason) ? 'it lacks a command' : ''
  if (lack !== '') {
    const message = `RedisStore needs Redis 6.2 or later, or Valkey, with scripts; the server cannot decide, for ${lack}: ${reason}`
    return new UnsupportedServerError(message, { cause: withoutCommand(error) })
  }
  const advice = reason.startsWith('MOVED ')
    ? ': a node of a cluster was asked as a single server, use redis+cluster:'
    : ''
  return new StoreUnavailableError(`Redis could not decide: ${reason}${advice}`, { cause: withoutCommand(error) })
}

/** An error raised by Lua, which begins with a line of the script. Errors of commands that a script calls have `@` before it. */
const LUA_FAILED = /(?<!@)\buser_script:\d+: /

/** The error for a failure in a user's custom Lua. `undefined`: no layer has custom Lua, or the failure has another cause. */
export function faultOfLua(error: unknown, asked: readonly Layer[]): TypeError | undefined {
  const own = asked.filter(({ lua }) => lua !== undefined)
  if (own.length === 0 || !LUA_FAILED.test(reasonOf(error))) return undefined
  const names = [...new Set(own.map(({ algorithm }) => `'${algorithm.id}'`))].join(' or ')
  return new TypeError(`the Lua implementation of the algorithm ${names} failed in Redis: ${reasonOf(error)}`, {
    cause: withoutCommand(error),
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
