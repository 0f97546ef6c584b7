/** The values of keys, as the Redis store writes them. */
import { HEADER, stateId } from '../../../src/redis/call/state-records.ts'

const FAR_FUTURE = Date.UTC(2200, 0) * 1000

export function doubles(numbers: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(numbers).buffer)
}

/**
 * The record of one state.
 * @param name `<algorithm>:<state name>`, such as `gcra:100-1m`
 * @param keptUntil µs since the epoch
 */
export function recordOf(name: string, numbers: readonly number[], keptUntil: number = FAR_FUTURE): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeUIntLE(stateId(name, numbers.length), 0, 6)
  header.writeUIntLE(keptUntil / 1000, 6, 6)
  return Buffer.concat([header, doubles(numbers)])
}
