/** Rounds a ttl down to whole seconds, as some servers count, so it forgets too early. */
import type { LimitData } from 'onrush'
import { TextStore } from '../text-store.ts'

export class WholeSecondsStore extends TextStore {
  override set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.set(key, data, inSeconds(ttl))
  }

  override compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    return super.compareAndSwap(key, old, data, inSeconds(ttl))
  }
}

function inSeconds(ttl: number | undefined): number | undefined {
  return ttl === undefined ? undefined : Math.floor(ttl / 1000) * 1000
}
