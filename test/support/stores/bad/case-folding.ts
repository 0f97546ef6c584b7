/** Takes `a` and `A` for one key, as some databases collate. */
import type { LimitData } from 'onrush'
import { TextStore } from '../text-store.ts'

export class CaseFoldingStore extends TextStore {
  override get(key: string): Promise<LimitData | undefined> {
    return super.get(key.toLowerCase())
  }

  override set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.set(key.toLowerCase(), data, ttl)
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.compareAndSwap(key.toLowerCase(), old, data, ttl)
  }

  override delete(key: string): Promise<void> {
    return super.delete(key.toLowerCase())
  }
}
