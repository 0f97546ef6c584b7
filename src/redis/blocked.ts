/** Lists the blocked keys of a prefix, on every server. */
import calculateSlot from 'cluster-key-slot'
import { areOfBlock } from '../algorithms/block.ts'
import { BLOCK_STATES, type BlockedKey, blockedKeyOf } from '../stores/blocked.ts'
import { decodeKey } from '../stores/state-key.ts'
import { command } from './call/run-script.ts'
import { readRecords } from './call/state-records.ts'
import type { DeciderContext } from './decider.ts'
import { bySlot, mastersOf, pagesOf } from './scan.ts'

/**
 * @param currentTime the time by which blocks end, in µs
 * @param stateNames the names of blocks by their ids, of those that throttles of this process have
 */
export async function* blockedKeys(
  context: DeciderContext,
  currentTime: () => Promise<number>,
  stateNames: Pick<Map<number, string>, 'get'>,
): AsyncGenerator<BlockedKey> {
  // SCAN may give a key twice.
  const given = new Set<string>()
  for (const master of await mastersOf(context)) {
    for await (const page of pagesOf(master, context)) {
      const now = await currentTime()
      for (const keys of bySlot(page.filter(isValueKey), context.connection)) {
        for (const [key, value] of await valuesOf(keys, context)) {
          for (const { id, numbers } of readRecords(value) ?? []) {
            const blocked = areOfBlock(numbers) ? blockedKeyOf(key, stateNames.get(id), numbers, now) : undefined
            if (blocked === undefined || given.has(`${id} ${key}`)) continue
            given.add(`${id} ${key}`)
            yield blocked.name === '' ? { ...blocked, name: await notedName(id, context) } : blocked
          }
        }
      }
    }
  }
}

/** The key of a value ends in a brace. Those of logs and of data beside states do not. */
function isValueKey(key: Buffer): boolean {
  return key.at(-1) === 0x7d
}

/** The user's keys, with their values. */
async function valuesOf(keys: readonly Buffer[], context: DeciderContext): Promise<[key: string, value: Uint8Array][]> {
  const { connection, coalescer, names } = context
  const [first] = keys
  if (first === undefined) return []
  const node = connection.cluster ? connection.nodeOf(calculateSlot(first)) : ''
  const values: unknown = await coalescer.within(() => command(connection, node, 'MGET', keys))
  return (Array.isArray(values) ? values : []).flatMap((value: unknown, index): [string, Uint8Array][] =>
    value instanceof Uint8Array ? [[keyIn(keys[index]?.toString() ?? '', names.start), value]] : [],
  )
}

/** The user's key in `<start><key>}`, or where tags are chosen in `<start><tag>}<key>}`. */
function keyIn(name: string, start: string): string {
  const encoded = name.slice(start.length, -1)
  return decodeKey(encoded.slice(encoded.indexOf('}') + 1))
}

/** The name of a block that no throttle of this process has, as other processes have noted it. Empty: none has. */
async function notedName(id: number, { connection, coalescer, names }: DeciderContext): Promise<string> {
  const name = names.ofStates
  const node = connection.cluster ? connection.nodeOf(calculateSlot(name)) : ''
  const range = [String(id), String(id), 'BYSCORE']
  const noted: unknown = await coalescer.within(() => command(connection, node, 'ZRANGE', [name], range))
  const [text = '']: readonly unknown[] = Array.isArray(noted) ? noted : []
  // `block:<name> <quota>`
  return String(text).split(' ')[0]?.slice(BLOCK_STATES.length) ?? ''
}
