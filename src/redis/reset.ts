/** Forgets all keys of a prefix, on every server, a batch at a time: Redis is never kept busy for long, and checks go on meanwhile. */
import calculateSlot from 'cluster-key-slot'
import { StoreUnavailableError } from '../errors.ts'
import { command, ping } from './call/echo.ts'
import type { RedisConnection } from './clients/client.ts'
import type { DeciderContext } from './decider.ts'

/** Keys looked at by one SCAN: about a fifth of a millisecond of the server's time. */
const BATCH = '500'

export async function reset(context: DeciderContext): Promise<void> {
  const { connection, coalescer } = context
  // The masters of a cluster are known when the client has connected.
  await coalescer.within(() => ping(connection))
  const masters = await coalescer.within(() => connection.masters())
  await Promise.all(masters.map((master) => resetOn(master, context)))
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

/** A page, and a PING behind it, whose reply tells that of the page from another: SCAN has no keys, by which it could go into a script. */
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

/** One by one where they cannot go together: while their slot moves, they lie on two nodes. */
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

/** The keys that one UNLINK may name, which puts the client's own prefix before each again: on a cluster those of one slot. */
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

/** A text as a pattern that matches itself alone. */
function literally(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
