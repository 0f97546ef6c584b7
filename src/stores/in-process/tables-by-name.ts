/** The tables of a store, one for each policy that it counts. */

/**
 * One table for one name, for as long as anybody holds it: a throttle that counts in it, or the store while it is not empty.
 * Names are as many as quotas ever were, such as those of tenants, so what nobody holds is forgotten with its name.
 */
export class TablesByName<Table extends object> {
  readonly #make: () => Table
  readonly #tables = new Map<string, WeakRef<Table>>()
  readonly #collected = new FinalizationRegistry<string>((name) => {
    // Another may have been made since.
    if (this.#tables.get(name)?.deref() === undefined) this.#tables.delete(name)
  })

  constructor(make: () => Table) {
    this.#make = make
  }

  /** How many names are kept. */
  get size(): number {
    return this.#tables.size
  }

  get(name: string): Table {
    const kept = this.#tables.get(name)?.deref()
    if (kept !== undefined) return kept
    const made = this.#make()
    this.#tables.set(name, new WeakRef(made))
    this.#collected.register(made, name)
    return made
  }
}
