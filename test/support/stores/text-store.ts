/** A custom store that many handles share: texts in a database that answers later, and swaps a text in one step. */
import { setImmediate } from 'node:timers/promises'
import { BaseStore, type Clock, type Duration, LimitData, MismatchedDataError } from 'onrush'

/** Stands for a server. */
export class TextDatabase {
  /** Held while it does not answer. */
  #silence: Promise<void> | undefined
  #speak = (): void => {}
  readonly #rows = new Map<string, { readonly text: string; readonly expires: number }>()
  readonly #clock: () => number

  /** @param clock ms */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Nothing is answered from now on. */
  stop(): void {
    this.#silence = new Promise((resolve) => {
      this.#speak = resolve
    })
  }

  /** Answers again, also what was asked meanwhile. */
  resume(): void {
    this.#silence = undefined
    this.#speak()
  }

  async #arrival(): Promise<void> {
    await setImmediate()
    await this.#silence
  }

  async read(key: string): Promise<string | undefined> {
    await this.#arrival()
    return this.#current(key)
  }

  async write(key: string, text: string, ttl = Number.POSITIVE_INFINITY): Promise<void> {
    await this.#arrival()
    this.#rows.set(key, { text, expires: this.#clock() + ttl })
  }

  /** Writes if `old` is still there. Answers what was there. */
  async swap(
    key: string,
    old: string | undefined,
    text: string,
    ttl = Number.POSITIVE_INFINITY,
  ): Promise<string | undefined> {
    await this.#arrival()
    const current = this.#current(key)
    if (current === old) this.#rows.set(key, { text, expires: this.#clock() + ttl })
    return current
  }

  async remove(key: string): Promise<void> {
    await this.#arrival()
    this.#rows.delete(key)
  }

  #current(key: string): string | undefined {
    const row = this.#rows.get(key)
    return row !== undefined && row.expires > this.#clock() ? row.text : undefined
  }
}

export class TextStore extends BaseStore {
  readonly database: TextDatabase
  readonly #clock: Clock | undefined

  /** @param timeout by default so long that no test depends on how fast the machine is */
  constructor(database: TextDatabase, clock?: Clock, timeout: Duration = '1 minute') {
    super({ timeout })
    this.database = database
    this.#clock = clock
  }

  async get(key: string): Promise<LimitData | undefined> {
    const text = await this.database.read(key)
    return text === undefined ? undefined : LimitData.fromJSON(text)
  }

  async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    await this.database.write(key, JSON.stringify(data), ttl)
    return data
  }

  override async compareAndSwap(
    key: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl?: number,
  ): Promise<LimitData> {
    const expected = old === undefined ? undefined : JSON.stringify(old)
    const found = await this.database.swap(key, expected, JSON.stringify(data), ttl)
    if (found === expected) return data
    throw new MismatchedDataError(old, found === undefined ? undefined : LimitData.fromJSON(found))
  }

  override delete(key: string): Promise<void> {
    return this.database.remove(key)
  }

  override currentTime(): number | Promise<number> {
    return this.#clock?.() ?? super.currentTime()
  }
}
