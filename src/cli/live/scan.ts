/** Goes through the keys of a prefix by SCAN, which never blocks a server, on every master in turn. */
import { UsageError } from '../exit-codes.ts'
import type { LiveStore } from './connection.ts'
import { literally, type NamedKey, readKeyName } from './key-names.ts'

/** About how many keys one SCAN looks at, of whatever prefix. */
export const KEYS_A_PAGE = 1000

/** Where a scan goes on: the number of a master, and the cursor there. */
export interface Position {
  readonly master: number
  readonly cursor: string
}

const LAST_CURSOR = 2n ** 64n - 1n

export const START: Position = { master: 0, cursor: '0' }

/** The keys of the prefix among those that one SCAN looked at. */
export interface Page {
  readonly keys: readonly NamedKey[]
  /** Where the scan goes on. `undefined`: it has ended. */
  readonly next: Position | undefined
}

/** @param pattern of the names after the prefix; an empty one means all */
export async function* scan(live: LiveStore, from: Position, pattern = ''): AsyncGenerator<Page> {
  const { connection, prefix } = live
  const masters = await connection.masters()
  const match = `${literally(connection.keyPrefix)}${literally(prefix)}:{${pattern}*`
  let { master, cursor } = from
  if (master >= masters.length) {
    throw new UsageError(`--from must name one of the ${masters.length} masters of this store, got ${master}`)
  }
  for (let server = masters[master]; server !== undefined; server = masters[master]) {
    const reply = await server.send('SCAN', [cursor, 'MATCH', match, 'COUNT', String(KEYS_A_PAGE)])
    if (!Array.isArray(reply)) return
    cursor = String(reply[0])
    if (cursor === '0') master++
    const next = master < masters.length ? { master, cursor } : undefined
    yield { keys: namedIn(reply[1], live), next }
    if (next === undefined) return
  }
}

function namedIn(names: unknown, { connection, prefix }: LiveStore): NamedKey[] {
  if (!Array.isArray(names)) return []
  return names.flatMap((name) => {
    const named = readKeyName(prefix, String(name).slice(connection.keyPrefix.length))
    return named === undefined ? [] : [named]
  })
}

export function positionText({ master, cursor }: Position): string {
  return `${master}:${cursor}`
}

/** @throws UsageError */
export function positionIn(text: string): Position {
  const [, master, cursor] = /^(\d+):(\d+)$/.exec(text) ?? []
  if (master === undefined || cursor === undefined || BigInt(cursor) > LAST_CURSOR) {
    throw new UsageError(`--from must be a position that ls has printed, such as 0:1024, got ${JSON.stringify(text)}`)
  }
  return { master: Number(master), cursor }
}
