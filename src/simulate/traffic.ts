/** Figures of the requests alone, refused or not: how many there are, how many keys they have, and when most of them came. */
import type { TimedRequest } from './request.ts'

/** A second or a minute of the log. */
export interface BusiestSpan {
  /** When the span begins: a whole second or minute of UTC. */
  readonly at: Date
  /** Requests in the span. */
  readonly requests: number
}

const SECOND = 1_000_000
const MINUTE = 60 * SECOND

export class Traffic {
  readonly #requestsByKey = new Map<string, number>()
  readonly #second = new Busiest(SECOND)
  readonly #minute = new Busiest(MINUTE)
  requests = 0
  units = 0
  #from: number | undefined
  #to = 0

  add({ key, time, quantity }: TimedRequest): void {
    this.requests++
    this.units += quantity
    this.#from ??= time
    this.#to = time
    this.#requestsByKey.set(key, (this.#requestsByKey.get(key) ?? 0) + 1)
    this.#second.add(time)
    this.#minute.add(time)
  }

  get keys(): number {
    return this.#requestsByKey.size
  }

  get from(): Date | undefined {
    return this.#from === undefined ? undefined : dateOf(this.#from)
  }

  get to(): Date | undefined {
    return this.#from === undefined ? undefined : dateOf(this.#to)
  }

  get busiestSecond(): BusiestSpan | undefined {
    return this.#second.most
  }

  get busiestMinute(): BusiestSpan | undefined {
    return this.#minute.most
  }

  requestsOf(key: string): number {
    return this.#requestsByKey.get(key) ?? 0
  }
}

/** Counts requests in spans of one length. Requests come in the order of time, so only the present span and the busiest are kept. */
class Busiest {
  readonly #length: number
  #start = 0
  #requests = 0
  #most: { start: number; requests: number } | undefined

  constructor(length: number) {
    this.#length = length
  }

  add(time: number): void {
    const start = time - (time % this.#length)
    if (start !== this.#start) {
      this.#start = start
      this.#requests = 0
    }
    this.#requests++
    if (this.#most === undefined || this.#requests > this.#most.requests) {
      this.#most = { start, requests: this.#requests }
    }
  }

  get most(): BusiestSpan | undefined {
    return this.#most === undefined ? undefined : { at: dateOf(this.#most.start), requests: this.#most.requests }
  }
}

function dateOf(microseconds: number): Date {
  return new Date(Math.floor(microseconds / 1000))
}
