/** Writes numbers with 15 digits, as many databases and languages do; a double needs 17. */
import { LimitData } from 'onrush'
import { TextStore } from '../text-store.ts'

export class FifteenDigitsStore extends TextStore {
  override set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.set(key, rounded(data), ttl)
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.compareAndSwap(key, old === undefined ? undefined : rounded(old), rounded(data), ttl)
  }
}

function rounded(data: LimitData): LimitData {
  return LimitData.fromJSON(
    JSON.stringify(data, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(15)) : value)),
  )
}
