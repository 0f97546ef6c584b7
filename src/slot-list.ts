/**
 * A free list: each item in flight has an index, which is reused when the item is released. Not a `Set`, because a busy `Set` keeps
 * allocating tables, and each old table keeps the next one, with items long removed, alive until a major GC.
 */
export class SlotList<Item> {
  readonly #items: (Item | undefined)[] = []
  readonly #free: number[] = []

  /** Adds the item and returns its index, which no other item has until `release`. */
  add(item: Item): number {
    const index = this.#free.pop() ?? this.#items.length
    this.#items[index] = item
    return index
  }

  /** No-op for an item that was released before, because its index may have been reused. */
  release(item: Item, index: number): void {
    if (this.#items[index] !== item) return
    this.#items[index] = undefined
    this.#free.push(index)
  }

  items(): Item[] {
    return this.#items.filter((item) => item !== undefined)
  }
}
