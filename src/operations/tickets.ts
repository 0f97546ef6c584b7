/**
 * The tickets of a key: who holds permits, and who waits for them, as a sorted set. Redis keeps the same set, with the same members in the
 * same order. Lua: `lua/includes/permit_tickets.lua`.
 */

/** A ticket, which its holder names before the server is asked. Because of the name, asking, renewing and ending are idempotent. */
export interface Ticket {
  /** 53 random bits of one store object. */
  readonly holder: number
  /** Unique under the holder. 0: not a ticket, but the process of a holder, some of whose tickets wait. */
  readonly serial: number
  /** Units. Of a process: 1 if it listens for messages, 0 if it asks again and again. */
  readonly quantity: number
}

/** `score` above 0: the time until which the ticket is held, or the process counts. Below 0: the ticket's place in the queue. */
export interface Member extends Ticket {
  readonly score: number
}

const LOWEST = -(2 ** 53)
const TURNS = 2 ** 49

/** The range of priorities. */
export const HIGHEST_PRIORITY = 5

/** The score of a ticket that waits: higher priorities first, then the earlier turn. */
export function placeOf(priority: number, turn: number): number {
  return LOWEST + (HIGHEST_PRIORITY - priority) * TURNS + (turn % TURNS)
}

/** The turn in a waiting ticket's score. */
export function turnIn(score: number): number {
  return (score - LOWEST) % TURNS
}

/** Unique among the tickets of a key. */
export function nameOf({ holder, serial, quantity }: Ticket): string {
  return `${holder} ${serial} ${quantity}`
}

function compare(one: Member, other: Member): number {
  return (
    one.score - other.score || one.holder - other.holder || one.serial - other.serial || one.quantity - other.quantity
  )
}

export class Tickets {
  readonly #sorted: Member[] = []
  readonly #byName = new Map<string, Member>()

  /** @param numbers four for each member: score, holder, serial, quantity */
  constructor(numbers: readonly number[] = []) {
    for (let at = 0; at + 3 < numbers.length; at += 4) {
      const [score = 0, holder = 0, serial = 0, quantity = 0] = numbers.slice(at, at + 4)
      this.put({ holder, serial, quantity }, score)
    }
  }

  /** As the constructor takes them, in the order of the set. */
  get numbers(): number[] {
    return this.#sorted.flatMap(({ score, holder, serial, quantity }) => [score, holder, serial, quantity])
  }

  get size(): number {
    return this.#sorted.length
  }

  scoreOf(ticket: Ticket): number | undefined {
    return this.#byName.get(nameOf(ticket))?.score
  }

  put({ holder, serial, quantity }: Ticket, score: number): void {
    const member = { holder, serial, quantity, score }
    this.remove(member)
    this.#byName.set(nameOf(member), member)
    this.#sorted.splice(this.#indexOf(member), 0, member)
  }

  remove(ticket: Ticket): void {
    const name = nameOf(ticket)
    const member = this.#byName.get(name)
    if (member === undefined) return
    this.#byName.delete(name)
    this.#sorted.splice(this.#indexOf(member), 1)
  }

  clear(): void {
    this.#sorted.length = 0
    this.#byName.clear()
  }

  /** The tickets that are first in the queue. */
  firstWaiting(most: number): readonly Member[] {
    const first = this.#sorted.slice(0, most)
    const held = first.findIndex(({ score }) => score > 0)
    return held < 0 ? first : first.slice(0, held)
  }

  /** All that wait, in the order of the queue. */
  get waiting(): readonly Member[] {
    return this.#sorted.slice(0, this.#firstHeld())
  }

  /** Those that lapsed at `now` or before, soonest first. */
  lapsed(now: number, most: number): readonly Member[] {
    const from = this.#firstHeld()
    return this.#sorted.slice(from, from + most).filter(({ score }) => score <= now)
  }

  /** When the next ticket or process lapses. 0: none is held. */
  get soonest(): number {
    return this.#sorted[this.#firstHeld()]?.score ?? 0
  }

  get all(): readonly Member[] {
    return this.#sorted
  }

  #firstHeld(): number {
    return this.#indexOf({ holder: 0, serial: 0, quantity: 0, score: 0 })
  }

  /** The index of a member, or the index that it would have. */
  #indexOf(member: Member): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      const at = this.#sorted[middle]
      if (at !== undefined && compare(at, member) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
