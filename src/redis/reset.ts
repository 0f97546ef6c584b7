/** Deletes all keys of a prefix, on every server. In batches, so that Redis is never blocked for long and checks go on meanwhile. */
import calculateSlot from 'cluster-key-slot'
import { StoreUnavailableError } from '../errors.ts'
import { command, ping } from './call/run-script.ts'
import type { RedisConnection } from './clients/client.ts'
import type { DeciderContext } from './decider.ts'

/** Keys looked at by one SCAN: about a fifth of a millisecond of the server's time. */
const BATCH = '500'

export async function reset(context: DeciderContext): Promise<void> {
  const { connection, coalescer, names, stateNames } = context
  // A cluster's client knows the masters only once it has connected.
  await coalescer.within(() => ping(connection))
  const masters = await coalescer.within(() => connection.masters())
  await Promise.all(masters.map((master) => resetOn(master, context)))
  await unlink([Buffer.from(names.ofStates)], context)
  stateNames.forget()
}

async function resetOn(master: Pick<RedisConnection, 'send'>, context: DeciderContext): Promise<void> {
  const { connection, coalescer, names } = context
  const pattern = `${literally(connection.keyPrefix + names.start)}*`
  let cursor = '0'
  do {
    const from = cursor
    const page = readPage(await coalescer.within(() => scan(master, connection, from, pattern)))
    await Promise.all(unlinkable(page.keys, connection).map((keys) => unlink(keys, context)))
    cursor = page.cursor
  } while (cursor !== '0')
}

/**
 * One page of SCAN. The PING sent behind it detects a connection whose replies are out of step; other commands are checked inside a
 * script, but SCAN names no keys by which a cluster could place a script.
 */
async function scan(
  master: Pick<RedisConnection, 'send'>,
  connection: RedisConnection,
  cursor: string,
  pattern: string,
): Promise<unknown> {
  const page = master.send('SCAN', [cursor, 'MATCH', pattern, 'COUNT', BATCH])
  const [reply] = await Promise.all([page, ping(connection, master)])
  return reply
}

/** Deletes the keys in one command, or one by one if that fails: while a slot is migrating, its keys are on two nodes. */
async function unlink(keys: readonly Buffer[], context: DeciderContext): Promise<void> {
  const { connection, coalescer } = context
  try {
    const [first] = keys
    const node = connection.cluster && first !== undefined ? connection.nodeOf(calculateSlot(first)) : ''
    await coalescer.within(() => command(connection, node, 'UNLINK', keys))
  } catch (error) {
    if (keys.length === 1) throw error
    await Promise.all(keys.map((key) => unlink([key], context)))
  }
}

/** Groups keys for UNLINK, in a cluster by slot. The client's `keyPrefix` is cut off, because the client adds it again. */
function unlinkable(keys: readonly Buffer[], { keyPrefix, cluster }: RedisConnection): Buffer[][] {
  const length = Buffer.byteLength(keyPrefix)
  const groups = new Map<number, Buffer[]>()
  for (const key of keys) {
    const slot = cluster ? calculateSlot(key) : 0
    const group = groups.get(slot) ?? []
    groups.set(slot, group)
    group.push(key.subarray(length))
  }
  return [...groups.values()]
}

function readPage(reply: unknown): { cursor: string; keys: Buffer[] } {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) {
    throw new StoreUnavailableError(`Redis answered SCAN with ${typeof reply} instead of a page of keys`)
  }
  const [cursor, keys] = reply
  return { cursor: String(cursor), keys: keys.filter((key): key is Buffer => Buffer.isBuffer(key)) }
}

/** Escapes a text for use in a MATCH pattern. */
function literally(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
