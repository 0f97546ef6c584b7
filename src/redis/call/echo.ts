/**
 * Each call carries a text of its own, its echo, and its reply starts with that. A client tells replies apart by their order alone:
 * where one is lost between the server and the client, every later command on the connection is given the reply of another.
 */
import { StoreUnavailableError } from '../../errors.ts'
import type { RedisConnection } from '../clients/client.ts'
import * as lua from './lua.generated.ts'
import { run, type Script, script } from './scripts.ts'

/** Bytes of an echo. */
export const ECHO_LENGTH = 8

/** Numbers of so many digits. */
const FIRST = 10 ** (ECHO_LENGTH - 1)
const LAST = 10 ** ECHO_LENGTH - 1

const COMMAND = script(lua.command)

// Counted for all stores of the process, because several may share a client; from a random number on, because another copy of this
// package may have stores on the same client.
let latest = FIRST + Math.floor(Math.random() * (LAST - FIRST))

/** Another than that of any call in flight in this process. */
export function nextEcho(): string {
  latest = latest < LAST ? latest + 1 : FIRST
  return String(latest)
}

export function startsWithEcho(reply: unknown, echo: string): reply is Uint8Array {
  if (!(reply instanceof Uint8Array)) return false
  for (let index = 0; index < ECHO_LENGTH; index++) if (reply[index] !== echo.charCodeAt(index)) return false
  return true
}

function isEcho(reply: unknown, echo: string): boolean {
  return startsWithEcho(reply, echo) && reply.byteLength === ECHO_LENGTH
}

/** Gives up the connection to a node, on which replies no longer match their commands; returns what to tell whoever asked. */
export function leaveOutOfStep(connection: RedisConnection, node: string): StoreUnavailableError {
  connection.leave(node)
  return new StoreUnavailableError(
    'Redis answered a check or command with the reply to another: a reply was lost on its way, so the connection is given up; it may have been counted',
  )
}

/** Runs a script whose reply is its echo and what it has to say, and resolves with that. */
export async function ask(
  connection: RedisConnection,
  node: string,
  asked: Script,
  keys: readonly (string | Buffer)[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const echo = nextEcho()
  const reply = await run(connection, asked, keys, [echo, ...args])
  if (Array.isArray(reply) && reply.length <= 2 && isEcho(reply[0], echo)) return reply[1]
  throw leaveOutOfStep(connection, node)
}

/** Runs one command, by a script that says whose reply it is. */
export function command(
  connection: RedisConnection,
  node: string,
  name: string,
  keys: readonly (string | Buffer)[],
  args: readonly string[] = [],
): Promise<unknown> {
  return ask(connection, node, COMMAND, keys, [name, ...args])
}

/** @throws StoreUnavailableError where the server does not answer, or answers something else. */
export async function ping(connection: RedisConnection, to: Pick<RedisConnection, 'send'> = connection): Promise<void> {
  const echo = nextEcho()
  if (!isEcho(await to.send('PING', [echo]), echo)) throw leaveOutOfStep(connection, '')
}
