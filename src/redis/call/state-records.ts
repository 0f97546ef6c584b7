/**
 * The format of the value of a user's key: records, one for each state of the key, such as that of each layer of a throttle. A record is
 * little-endian doubles: the id of its state; until when it is kept, in µs of the server's clock; and the numbers of the state. Lua:
 * `lua/includes/records.lua`.
 */
import { sha1Hex } from '../digest.ts'

/** The numbers of a record before those of its state: the id, and until when it is kept. */
export const HEADER_NUMBERS = 2

/** The lowest bits of an id tell how many numbers the state has, so that a record can be read without knowing whose it is. */
const SIZES = 16

/** The most numbers in a state. */
export const LARGEST_STATE = SIZES - 1

/** The bits of an id's hash; with those of the size, an id has 52 and is exact as a double. */
const HASH_BITS = 48

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

/** The records of a value. `undefined`: the value is damaged, and counts as none. */
export function readRecords(value: Uint8Array): StateRecord[] | undefined {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  const records: StateRecord[] = []
  let at = 0
  while (at < value.byteLength) {
    if (value.byteLength - at < 8 * HEADER_NUMBERS) return undefined
    const id = view.getFloat64(at, true)
    const keptUntil = view.getFloat64(at + 8, true)
    const size = id % SIZES
    const end = at + 8 * (HEADER_NUMBERS + size)
    if (!(id >= 0 && size > 0 && id < SIZES * 2 ** HASH_BITS) || !Number.isInteger(id) || end > value.byteLength)
      return undefined
    if (!Number.isFinite(keptUntil)) return undefined
    const numbers = Array.from({ length: size }, (_, index) => view.getFloat64(at + 8 * (HEADER_NUMBERS + index), true))
    records.push({ id, keptUntil, numbers })
    at = end
  }
  return records
}
