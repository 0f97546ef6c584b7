/** Looks at all keys of a prefix, page by page, so that Redis is never blocked for long. */
import calculateSlot from 'cluster-key-slot'
import { StoreUnavailableError } from '../errors.ts'
import { ping } from './call/run-script.ts'
import type { RedisConnection } from './clients/client.ts'
import type { DeciderContext } from './decider.ts'

/** Keys looked at by one SCAN: about a fifth of a millisecond of the server's time. */
const BATCH = '500'

export type Master = Pick<RedisConnection, 'send'>

export async function mastersOf({ connection, coalescer }: DeciderContext): Promise<readonly Master[]> {
  // A cluster's client knows the masters only once it has connected.
  await coalescer.within(() => ping(connection))
  return coalescer.within(() => connection.masters())
}

/** The keys that a master has, as they are in Redis. A key may come twice. */
export async function* pagesOf(master: Master, context: DeciderContext): AsyncGenerator<readonly Buffer[]> {
  const { connection, coalescer, names } = context
  const pattern = `${literally(connection.keyPrefix + names.start)}*`
  let cursor = '0'
  do {
    const from = cursor
    const page = readPage(await coalescer.within(() => scan(master, connection, from, pattern)))
    yield page.keys
    cursor = page.cursor
  } while (cursor !== '0')
}

/**
 * One page of SCAN. The PING sent behind it detects a connection whose replies are out of step; other commands are checked inside a
 * script, but SCAN names no keys by which a cluster could place a script.
 */
async function scan(master: Master, connection: RedisConnection, cursor: string, pattern: string): Promise<unknown> {
  const page = master.send('SCAN', [cursor, 'MATCH', pattern, 'COUNT', BATCH])
  const [reply] = await Promise.all([page, ping(connection, master)])
  return reply
}

/** Groups keys for one command each, in a cluster by slot. The client's `keyPrefix` is cut off, because the client adds it again. */
export function bySlot(keys: readonly Buffer[], { keyPrefix, cluster }: RedisConnection): Buffer[][] {
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
