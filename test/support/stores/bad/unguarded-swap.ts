/** Compares, then writes: between the two, others may have written. */
import { type LimitData, MismatchedDataError } from 'onrush'
import { TextStore } from '../text-store.ts'

export class UnguardedSwapStore extends TextStore {
  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    const found = await this.get(key)
    if (found === undefined ? old !== undefined : !found.equals(old)) throw new MismatchedDataError(old, found)
    return this.set(key, data, ttl)
  }
}
