/** Takes a record for the one that was read when as many units are used. */
import { type LimitData, MismatchedDataError } from 'onrush'
import { TextStore } from '../text-store.ts'

export class UsedOnlyStore extends TextStore {
  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    for (;;) {
      const found = await this.get(key)
      if (found?.used !== old?.used) throw new MismatchedDataError(old, found)
      const before = await this.database.swap(key, textOf(found), JSON.stringify(data), ttl)
      if (before === textOf(found)) return data
    }
  }
}

function textOf(data: LimitData | undefined): string | undefined {
  return data === undefined ? undefined : JSON.stringify(data)
}
