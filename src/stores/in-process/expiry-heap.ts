/** A binary heap of items by due time. Each item knows its position, so that any item can be moved or removed in O(log n). */

export interface Expiring {
  /** Sort key, in µs since the epoch. Never later than the end of the item's life. */
  due: number
  /** Index in the heap, maintained by the heap. -1: the item is in no heap. */
  position: number
}

export class ExpiryHeap<Item extends Expiring> {
  readonly #items: Item[] = []

  /** The item that is due first. `undefined`: the heap is empty. */
  get soonest(): Item | undefined {
    return this.#items[0]
  }

  add(item: Item): void {
    this.#rise(item, this.#items.length)
  }

  remove(item: Item): void {
    const { position } = item
    if (position < 0) return
    item.position = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    this.#rise(last, position)
    this.#sink(last, last.position)
  }

  /** @param due later than before */
  postpone(item: Item, due: number): void {
    item.due = due
    if (item.position >= 0) this.#sink(item, item.position)
  }

  clear(): void {
    for (const item of this.#items) item.position = -1
    this.#items.length = 0
  }

  #rise(item: Item, from: number): void {
    let position = from
    while (position > 0) {
      const above = (position - 1) >> 1
      const parent = this.#items[above]
      if (parent === undefined || parent.due <= item.due) break
      this.#put(parent, position)
      position = above
    }
    this.#put(item, position)
  }

  #sink(item: Item, from: number): void {
    let position = from
    for (;;) {
      const left = 2 * position + 1
      const one = this.#items[left]
      if (one === undefined) break
      const other = this.#items[left + 1]
      const sooner = other !== undefined && other.due < one.due ? other : one
      if (sooner.due >= item.due) break
      const below = sooner === one ? left : left + 1
      this.#put(sooner, position)
      position = below
    }
    this.#put(item, position)
  }

  #put(item: Item, position: number): void {
    this.#items[position] = item
    item.position = position
  }
}
