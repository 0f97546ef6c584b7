/** Keeps all fields but `time`, as a table without a column for it. */
import type { LimitData } from 'onrush'
import { TextStore } from '../text-store.ts'

export class TimelessStore extends TextStore {
  override set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.set(key, timeless(data), ttl)
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.compareAndSwap(key, old === undefined ? undefined : timeless(old), timeless(data), ttl)
  }
}

function timeless(data: LimitData): LimitData {
  return data.copyWith({ time: undefined })
}
