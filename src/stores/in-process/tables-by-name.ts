/** The tables of an in-process store, one per policy. */

/**
 * Holds tables by weak reference. A table lives while a throttle uses it, or while the store holds it because it is not empty. Programs may
 * make many policies over time, for example one per tenant, so a table that is no longer referenced is collected, and its name removed.
 */
export class TablesByName<Table extends object> {
  readonly #make: () => Table
  readonly #tables = new Map<string, WeakRef<Table>>()
  readonly #collected = new FinalizationRegistry<string>((name) => {
    // A new table of the same name may have been made meanwhile.
    if (this.#tables.get(name)?.deref() === undefined) this.#tables.delete(name)
  })

  constructor(make: () => Table) {
    this.#make = make
  }

  get size(): number {
    return this.#tables.size
  }

  /** All tables that are still referenced, by name. */
  *entries(): Generator<readonly [name: string, table: Table]> {
    for (const [name, kept] of this.#tables) {
      const table = kept.deref()
      if (table !== undefined) yield [name, table]
    }
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
