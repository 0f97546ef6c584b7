/** Keys for which something goes on that must not be mixed with checks: what is asked later on the key waits until it is done. */
export class Barriers {
  readonly #last = new Map<string, Promise<void>>()

  get size(): number {
    return this.#last.size
  }

  /** Resolves when nothing of the kind goes on for any of the keys; `undefined` when nothing does now. */
  before(keys: readonly string[]): Promise<void> | undefined {
    const under = keys.flatMap((key) => this.#last.get(key) ?? [])
    return under.length === 0 ? undefined : Promise.all(under).then(() => this.before(keys))
  }

  /** Does `work` after all such work asked before on the key. */
  raise<T>(key: string, work: () => Promise<T>): Promise<T> {
    const done = (this.#last.get(key) ?? Promise.resolve()).then(work)
    const over: Promise<void> = done.then(
      () => this.#lower(key, over),
      () => this.#lower(key, over),
    )
    this.#last.set(key, over)
    return done
  }

  #lower(key: string, over: Promise<void>): void {
    if (this.#last.get(key) === over) this.#last.delete(key)
  }
}
