/** A custom store with only `get` and `set`, whose calls answer only when the test lets them. */
import { BaseStore, type BaseStoreOptions, type LimitData } from 'onrush'

export class DeafStore extends BaseStore {
  /** Returns the promise that a call waits for before it does anything. `undefined`: the call does not wait. */
  hold: (method: 'get' | 'set', key: string) => Promise<void> | undefined = () => undefined
  /** The methods called, in order. */
  readonly calls: string[] = []
  readonly records = new Map<string, LimitData>()

  constructor(options?: BaseStoreOptions) {
    super(options)
  }

  override async get(key: string): Promise<LimitData | undefined> {
    this.calls.push('get')
    await this.hold('get', key)
    return this.records.get(key)
  }

  override async set(key: string, data: LimitData): Promise<LimitData> {
    this.calls.push('set')
    await this.hold('set', key)
    this.records.set(key, data)
    return data
  }
}

/** Never answers. */
export const forEver = (): Promise<void> => new Promise(() => {})

/** Holds calls until it is opened. */
export class Gate {
  open = (): void => {}
  readonly opened = new Promise<void>((resolve) => {
    this.open = resolve
  })
}
