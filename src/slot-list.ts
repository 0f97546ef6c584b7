/**
 * What is in flight, each at a place that is taken again when it is released. A `Set` that never rests would do, but makes table
 * after table, each of which holds the next and keeps alive, for the garbage collector, what has long left it.
 */
export class SlotList<Item> {
  readonly #items: (Item | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#items.length - this.#free.length
  }

  /** Answers the place of the item, which no other has until it is released. */
  take(item: Item): number {
    const place = this.#free.pop() ?? this.#items.length
    this.#items[place] = item
    return place
  }

  /** Does nothing where the item has left the place before. */
  release(item: Item, place: number): boolean {
    if (this.#items[place] !== item) return false
    this.#items[place] = undefined
    this.#free.push(place)
    return true
  }

  items(): Item[] {
    return this.#items.filter((item) => item !== undefined)
  }
}
