/** Which of many things is due first: a binary heap that knows where each thing lies, so that any can be moved or taken out. */

export interface Expiring {
  /** When it is looked at, in µs since the epoch: no later than it ends. */
  due: number
  /** Where it lies in its heap, kept by that; -1: in none. */
  position: number
}

/** Adding, removing and postponing one thing takes O(log n) steps, and nothing is ever copied. */
export class ExpiryHeap<Item extends Expiring> {
  readonly #items: Item[] = []

  /** What is due first. */
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
