/**
 * The format of the value of a user's key: records, one for each state of the key, such as that of each layer of a throttle. A record is
 * two little-endian integers of six bytes, the id of its state, and until when it is kept, in ms of the server's clock; and the numbers of the
 * state as little-endian doubles. 28 bytes for a state of two numbers, for which Redis allocates 32. Lua:
 * `lua/includes/records.lua`.
 */
import { sha1Hex } from '../digest.ts'

/** The bytes of each integer. */
const INTEGER = 6

/** The bytes of a record before the numbers of its state: the id, and until when it is kept. */
export const HEADER = 2 * INTEGER

/** The lowest bits of an id tell how many numbers the state has, so that a record can be read without knowing whose it is. */
const SIZES = 16

/** The most numbers in a state. */
export const LARGEST_STATE = SIZES - 1

/** The bits of an id's hash; with those of the size, an id has 48. */
const HASH_BITS = 44

/** The latest time until which a record is kept, in ms: LATEST_EXPIRY in `lua/includes/common.lua`. */
const LATEST_KEPT = 2 ** 44

export interface StateRecord {
  readonly id: number
  /** In µs since the epoch, by the server's clock. */
  readonly keptUntil: number
  readonly numbers: readonly number[]
}

/**
 * The id of a state.
 * @param name `<algorithm>:<state name>`
 * @param size numbers per state, 1 to LARGEST_STATE
 */
export function stateId(name: string, size: number): number {
  const hash = Number.parseInt(sha1Hex(name).slice(0, HASH_BITS / 4), 16)
  return hash * SIZES + size
}

/** The bytes of the record of a state of so many numbers. */
export function bytesOf(size: number): number {
  return HEADER + 8 * size
}

/** The same record for `struct` of Lua, without the byte order. */
export function formatOf(size: number): string {
  return `I${INTEGER}I${INTEGER}${'d'.repeat(size)}`
}

/** The records of a value. `undefined`: the value is damaged, and counts as none. */
export function readRecords(value: Uint8Array): StateRecord[] | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const records: StateRecord[] = []
  let at = 0
  while (at < value.byteLength) {
    if (value.byteLength - at < HEADER) return undefined
    const id = integerAt(view, at)
    const kept = integerAt(view, at + INTEGER)
    const size = id % SIZES
    const end = at + bytesOf(size)
    if (size === 0 || kept > LATEST_KEPT || end > value.byteLength) return undefined
    const numbers = Array.from({ length: size }, (_, index) => view.getFloat64(at + HEADER + 8 * index, true))
    records.push({ id, keptUntil: kept * 1000, numbers })
    at = end
  }
  return records
}

function integerAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32
}
