/** The policies of a key space, again and again: how many keys use them, how many are limited, and what was spent between two looks. */
import type { LiveStore } from './connection.ts'
import { Policies } from './policies.ts'
import { KEYS_A_PAGE, START, scan } from './scan.ts'
import { type State, statesIn } from './states.ts'

export interface PolicyUse {
  readonly name: string
  /** Keys that have used something. */
  readonly used: number
  /** Keys of which not one unit can be spent now. */
  readonly limited: number
  /** Units spent since the look before, at least. */
  readonly spent: number
}

export interface Look {
  /** Seconds of the server's clock since the look before. 0: this is the first. */
  readonly seconds: number
  /** Keys looked at. */
  readonly keys: number
  /** Whether there are keys that were not looked at. */
  readonly hasMore: boolean
  readonly policies: readonly PolicyUse[]
}

interface Seen {
  /** The server's time, in µs. */
  readonly at: number
  readonly hasMore: boolean
  /** Values by the names of keys. */
  readonly values: ReadonlyMap<string, Buffer>
}

export class Spending {
  readonly #live: LiveStore
  readonly #most: number
  #before: Seen | undefined

  /** @param most about how many keys of the server to look at */
  constructor(live: LiveStore, most: number) {
    this.#live = live
    this.#most = most
  }

  async look(): Promise<Look> {
    const policies = await Policies.of(this.#live, [])
    const seen = await this.#read()
    const uses = new Map<string, { used: number; limited: number; spent: number }>()
    for (const [name, value] of seen.values) {
      const earlier = this.#earlier(name, policies, seen.at)
      for (const state of statesIn(value, policies, seen.at)) {
        const use = uses.get(state.name) ?? { used: 0, limited: 0, spent: 0 }
        uses.set(state.name, use)
        use.used++
        if (state.result?.limited === true) use.limited++
        if (earlier !== undefined) use.spent += spentSince(earlier, state)
      }
    }
    const seconds = (seen.at - (this.#before?.at ?? seen.at)) / 1e6
    this.#before = seen
    const policiesUsed = Array.from(uses, ([name, use]) => ({ name, ...use }))
    return { seconds, keys: seen.values.size, hasMore: seen.hasMore, policies: policiesUsed }
  }

  async #read(): Promise<Seen> {
    const { store } = this.#live
    const values = new Map<string, Buffer>()
    let hasMore = this.#most === 0
    if (this.#most > 0) {
      let looked = 0
      for await (const { keys, next } of scan(this.#live, START)) {
        const read = keys.filter(({ what }) => what === '').map(({ name }) => name)
        const found = await Promise.all(read.map((name) => this.#live.value(name)))
        for (const [index, value] of found.entries()) {
          const name = read[index]
          if (name !== undefined && value !== undefined) values.set(name, value)
        }
        looked += KEYS_A_PAGE
        hasMore = next !== undefined
        if (looked >= this.#most) break
      }
    }
    return { at: await store.currentTime(), hasMore, values }
  }

  /** The states of the look before, as time alone has changed them since. `undefined`: the key was not looked at. */
  #earlier(name: string, policies: Policies, now: number): State[] | undefined {
    const before = this.#before
    const value = before?.values.get(name)
    if (value !== undefined) return statesIn(value, policies, now)
    return before === undefined || before.hasMore ? undefined : []
  }
}

/** Units by which a state has grown beyond what time has left of the earlier one. What was given back meanwhile hides as many. */
function spentSince(earlier: readonly State[], { name, used = 0, permits }: State): number {
  if (permits !== undefined) return 0
  const left = earlier.find((state) => state.name === name)?.used ?? 0
  return Math.max(used - left, 0)
}
