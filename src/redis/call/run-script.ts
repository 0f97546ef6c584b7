/**
 * Runs scripts by EVALSHA, and checks that a reply belongs to its call. Each call carries a unique text, its echo, and its reply starts with
 * the same text. The echo detects lost replies: clients match replies to commands by order alone, so after one lost reply every later
 * command on the connection gets the reply to another.
 */
import { StoreUnavailableError } from '../../errors.ts'
import { scripts } from '../../events.ts'
import type { RedisConnection } from '../clients/client.ts'
import * as lua from './lua.generated.ts'
import { type Script, script } from './scripts.ts'

/** In bytes. */
export const ECHO_LENGTH = 8

/** The numbers with ECHO_LENGTH digits. */
const FIRST = 10 ** (ECHO_LENGTH - 1)
const LAST = 10 ** ECHO_LENGTH - 1

const COMMAND = script(lua.command)

// One counter for all stores of the process, because several stores may share a client. The counter starts at random, because another copy
// of this package may use the same client.
let latest = FIRST + Math.floor(Math.random() * (LAST - FIRST))

/** Unique among the calls in flight in this process. */
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

/** Drops the connection to a node, because its replies no longer match its commands. Returns the error for the caller. */
export function leaveOutOfStep(connection: RedisConnection, node: string): StoreUnavailableError {
  connection.leave(node)
  return new StoreUnavailableError(
    'Redis answered a check or command with the reply to another: a reply was lost on its way, so the connection is given up; it may have been counted',
  )
}

/**
 * Runs a script by its hash. A node without the script (restart, flush, failover, a new node) replies NOSCRIPT before doing anything.
 * EVAL then loads and runs the script in one step, so nothing is lost or counted twice.
 */
export function run(
  connection: Pick<RedisConnection, 'send'>,
  { source, sha1 }: Script,
  keys: readonly (string | Buffer)[],
  args: readonly (string | Buffer)[],
  node?: string,
): Promise<unknown> {
  const start: (string | Buffer)[] = [sha1, String(keys.length)]
  // `concat` instead of spread syntax, because spread iterates item by item.
  const words = start.concat(keys, args)
  return connection.send('EVALSHA', words, node).then(undefined, (error: unknown) => {
    if (!isMissing(error)) throw error
    if (scripts.hasSubscribers) scripts.publish({ sha1 })
    return connection.send('EVAL', words.with(0, source), node)
  })
}

/** True for the error of a node without the script. */
function isMissing(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** Goes on as `run` does if `RedisConnection.evaluate` has failed: runs the script by its text if the node lacks it. */
export async function runAfter(
  error: unknown,
  connection: Pick<RedisConnection, 'send'>,
  asked: Script,
  keys: readonly string[],
  args: readonly string[],
  node: string,
): Promise<unknown> {
  if (!isMissing(error)) throw error
  if (scripts.hasSubscribers) scripts.publish({ sha1: asked.sha1 })
  return runText(connection, asked, keys, args, node)
}

/** Runs a script by its text, which is longer than its hash but never asked for again: for a script that runs seldom. */
export function runText(
  connection: Pick<RedisConnection, 'send'>,
  { source }: Script,
  keys: readonly (string | Buffer)[],
  args: readonly (string | Buffer)[],
  node?: string,
): Promise<unknown> {
  return connection.send('EVAL', [source, String(keys.length), ...keys, ...args], node)
}

/** Runs a script that replies with its echo and a value; resolves with the value. */
export async function ask(
  connection: RedisConnection,
  node: string,
  asked: Script,
  keys: readonly (string | Buffer)[],
  args: readonly (string | Buffer)[],
  by: (...call: Parameters<typeof runText>) => Promise<unknown> = run,
): Promise<unknown> {
  const echo = nextEcho()
  const reply = await by(connection, asked, keys, [echo, ...args])
  if (Array.isArray(reply) && reply.length <= 2 && isEcho(reply[0], echo)) return reply[1]
  throw leaveOutOfStep(connection, node)
}

/** Runs one command inside a script, so that its reply has an echo. */
export function command(
  connection: RedisConnection,
  node: string,
  name: string,
  keys: readonly (string | Buffer)[],
  args: readonly string[] = [],
): Promise<unknown> {
  return ask(connection, node, COMMAND, keys, [name, ...args])
}

/** @throws StoreUnavailableError if the server does not reply, or replies with something else. */
export async function ping(connection: RedisConnection, to: Pick<RedisConnection, 'send'> = connection): Promise<void> {
  const echo = nextEcho()
  if (!isEcho(await to.send('PING', [echo]), echo)) throw leaveOutOfStep(connection, '')
}
