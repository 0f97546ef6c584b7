/**
 * Callers of this process that wait for turns of one key, each for the same number of units. Turns are interchangeable: the first caller
 * starts at the earliest turn. When a caller leaves, those behind move forward by one and the last turn is given back. Nobody moves back,
 * because the k-th caller has the k-th turn, and a turn goes only when a caller goes.
 *
 * The queue for permits (`src/permits`) shares nothing with this one: a turn is a time that was promised, and leaving moves later times forward; a
 * ticket for a permit stands in a queue on the server, which moves by itself when a ticket is ended.
 */
import type { Promised } from './operations/take-turn.ts'
import type { RateLimitResult } from './result.ts'
import { heed, Signals } from './signals.ts'
import { alarm, sleep } from './sleep.ts'

/** A promised start that is not used yet. */
interface Turn {
  /** When the turn comes, in ms of `performance.now`. */
  readonly due: number
  readonly promised: Promised
  cancel: () => void
}

interface Waited {
  readonly result: RateLimitResult
  readonly turn: Promised | undefined
}

/** The source of turns: a store. */
interface Turns {
  /** @param mayTakeVacancy true if the start of a caller who has left is acceptable */
  take(longestMicroseconds: number, mayTakeVacancy: boolean): Promise<Promised>
  giveUp(promised: Promised): Promise<unknown>
}

export class TurnQueue {
  readonly #source: Turns
  /** Soonest first; one for each waiting caller. */
  readonly #turns: Turn[] = []
  /** Functions that let a waiting caller start, in order of arrival. */
  readonly #waiting = new Set<(turn: Promised) => void>()
  readonly #signals = new Signals()
  #asking = 0

  constructor(source: Turns) {
    this.#source = source
  }

  get isIdle(): boolean {
    return this.#asking === 0 && this.#waiting.size === 0
  }

  /**
   * Resolves when the caller may start, with an unlimited result, or at once with a limited one.
   * @returns also the turn for which the caller has waited; `undefined`: the caller has not waited
   */
  async wait(maxWait: number, signal: AbortSignal | undefined): Promise<Waited> {
    this.#asking++
    try {
      const asked = this.#source.take(Math.round(maxWait * 1000), !this.#isLongerThan(maxWait))
      const promised = await heed(asked, signal, (late) => this.#takeIn(late))
      if (promised.result.limited) return { result: promised.result, turn: undefined }
      if (signal?.aborted) {
        this.#takeIn(promised)
        throw signal.reason
      }
      const turn = await this.#started(promised, maxWait, signal)
      return { result: promised.result, turn }
    } finally {
      this.#asking--
    }
  }

  /** True if the last turn held is more than `maxWait` ms away. */
  #isLongerThan(maxWait: number): boolean {
    const last = this.#turns.at(-1)
    return last !== undefined && last.due - performance.now() > maxWait
  }

  async #started(promised: Promised, maxWait: number, signal: AbortSignal | undefined): Promise<Promised | undefined> {
    // Units came back, so the store promised a turn before some that others wait for. This caller cannot wait behind those, and takes the
    // turn itself.
    if (this.#isLongerThan(maxWait)) return this.#startAlone(promised, signal)
    if (promised.wait <= 0 && this.#waiting.size === 0) return undefined
    return new Promise<Promised>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(start)
        reject(signal?.reason)
        this.#giveUpLast()
      }
      const start = (turn: Promised): void => {
        if (signal !== undefined) this.#signals.forget(signal, leave)
        resolve(turn)
      }
      this.#waiting.add(start)
      if (signal !== undefined) this.#signals.add(signal, leave)
      this.#hold(promised)
    })
  }

  /** Takes in a turn whose caller left before it was promised, and gives the last turn back instead. */
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
    first(turn.promised)
  }

  #giveUpLast(): void {
    const turn = this.#turns.pop()
    turn?.cancel()
    if (turn !== undefined) this.#giveUp(turn.promised)
  }

  async #startAlone(promised: Promised, signal: AbortSignal | undefined): Promise<Promised | undefined> {
    if (promised.wait <= 0) return undefined
    try {
      await sleep(promised.wait / 1000, { signal })
      return promised
    } catch (error) {
      this.#giveUp(promised)
      throw error
    }
  }

  /** Gives a turn back without waiting for the store. If that fails, the turn passes unused. */
  #giveUp(promised: Promised): void {
    this.#source.giveUp(promised).catch(() => {})
  }
}
