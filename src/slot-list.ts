/**
 * A free list: each item in flight has an index, which is reused when the item is released. A `Set` that is never empty would do,
 * but allocates table after table, each of which holds the next and keeps alive, for the garbage collector, what has long left it.
 */
export class SlotList<Item> {
  readonly #items: (Item | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#items.length - this.#free.length
  }

  /** Answers the index of the item, which no other has until it is released. */
  add(item: Item): number {
    const index = this.#free.pop() ?? this.#items.length
    this.#items[index] = item
    return index
  }

  /** No-op for an item that has left before: its index may have been reused. */
  release(item: Item, index: number): void {
    if (this.#items[index] !== item) return
    this.#items[index] = undefined
    this.#free.push(index)
  }

  items(): Item[] {
    return this.#items.filter((item) => item !== undefined)
  }
}
