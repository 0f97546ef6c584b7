/** Takes a server that cannot be asked for one that holds nothing. */
import type { LimitData } from 'onrush'
import { TextStore } from '../text-store.ts'

export class FailOpenStore extends TextStore {
  override async get(key: string): Promise<LimitData | undefined> {
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20))
    return Promise.race([super.get(key), late])
  }

  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    const late = new Promise<LimitData>((resolve) => setTimeout(() => resolve(data), 20))
    return Promise.race([super.compareAndSwap(key, old, data, ttl), late])
  }
}
