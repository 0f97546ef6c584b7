/**
 * Those of this process who wait for turns of one key, for the same number of units. Whose turn was promised does not matter: the one
 * who came first starts at the turn that comes first, so when somebody leaves, all behind move forward, and the last turn is left over.
 * Nobody's start moves back by that: the k-th who waits has the k-th turn, and a turn is taken away only with one who waits.
 */
import type { Promised } from './operations/take-turn.ts'
import type { RateLimitResult } from './result.ts'
import { heed, Signals } from './signals.ts'
import { alarm, sleep } from './sleep.ts'

/** A promised start that nobody has used yet. */
interface Turn {
  /** In ms of `performance.now`. */
  readonly due: number
  readonly promised: Promised
  cancel: () => void
}

/** Where the turns come from. */
interface Turns {
  /** @param mayTakeVacancy true where the start of somebody who has left will do */
  take(longestMicroseconds: number, mayTakeVacancy: boolean): Promise<Promised>
  giveUp(promised: Promised): Promise<unknown>
}

export class TurnQueue {
  readonly #source: Turns
  /** Soonest first; as many as wait. */
  readonly #turns: Turn[] = []
  /** Lets each start; in the order in which they came. */
  readonly #waiting = new Set<() => void>()
  readonly #signals = new Signals()
  #asking = 0

  constructor(source: Turns) {
    this.#source = source
  }

  get isIdle(): boolean {
    return this.#asking === 0 && this.#waiting.size === 0
  }

  /** Resolves when the caller may start, with an unlimited result, or at once with a limited one. */
  async wait(maxWait: number, signal: AbortSignal | undefined): Promise<RateLimitResult> {
    this.#asking++
    try {
      const asked = this.#source.take(Math.round(maxWait * 1000), !this.#isLongerThan(maxWait))
      const promised = await heed(asked, signal, (late) => this.#takeIn(late))
      if (promised.result.limited) return promised.result
      if (signal?.aborted) {
        this.#takeIn(promised)
        throw signal.reason
      }
      await this.#started(promised, maxWait, signal)
      return promised.result
    } finally {
      this.#asking--
    }
  }

  /** True where who comes last starts later than so many ms from now. */
  #isLongerThan(maxWait: number): boolean {
    const last = this.#turns.at(-1)
    return last !== undefined && last.due - performance.now() > maxWait
  }

  async #started(promised: Promised, maxWait: number, signal: AbortSignal | undefined): Promise<void> {
    // There was room before the turns that are waited for, since units came back: who can wait no longer takes what was promised.
    if (this.#isLongerThan(maxWait)) return this.#startAlone(promised, signal)
    if (promised.wait <= 0 && this.#waiting.size === 0) return
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(start)
        reject(signal?.reason)
        this.#giveUpLast()
      }
      const start = (): void => {
        if (signal !== undefined) this.#signals.forget(signal, leave)
        resolve()
      }
      this.#waiting.add(start)
      if (signal !== undefined) this.#signals.add(signal, leave)
      this.#hold(promised)
    })
  }

  /** A turn of one who has left before it was promised. */
  #takeIn(promised: Promised): void {
    if (promised.result.limited) return
    this.#hold(promised)
    this.#giveUpLast()
  }

  #hold(promised: Promised): void {
    const wait = promised.wait / 1000
    const turn: Turn = { due: performance.now() + wait, promised, cancel: () => {} }
    const before = this.#turns.findLastIndex(({ due }) => due <= turn.due)
    this.#turns.splice(before + 1, 0, turn)
    turn.cancel = alarm(wait, () => this.#use(turn))
  }

  #use(turn: Turn): void {
    this.#turns.splice(this.#turns.indexOf(turn), 1)
    const [first] = this.#waiting
    if (first === undefined) return
    this.#waiting.delete(first)
    first()
  }

  #giveUpLast(): void {
    const turn = this.#turns.pop()
    turn?.cancel()
    if (turn !== undefined) this.#giveUp(turn.promised)
  }

  async #startAlone(promised: Promised, signal: AbortSignal | undefined): Promise<void> {
    try {
      if (promised.wait > 0) await sleep(promised.wait / 1000, { signal })
    } catch (error) {
      this.#giveUp(promised)
      throw error
    }
  }

  /** Where the store cannot be told, the start passes unused; nobody waits for that. */
  #giveUp(promised: Promised): void {
    this.#source.giveUp(promised).catch(() => {})
  }
}
