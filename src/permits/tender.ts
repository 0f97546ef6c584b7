/** Tends the places of a desk, by one timer, which does not keep the process alive. */
import { LONGEST_TIMER } from '../bounds.ts'
import { AsyncResource } from '../runtime.ts'
import { setTimeout, steadyNow } from '../unmocked.ts'
import type { Place } from './place.ts'

export class Tender {
  /** The places where something is to be done. */
  readonly places = new Set<Place>()
  /** The timer runs in the context in which the store was made, because it would keep that of a request alive. */
  readonly #context = new AsyncResource('OnrushPermits')
  readonly #tended: (place: Place) => void
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #stopped = false

  /** @param tended called for each place that was tended */
  constructor(tended: (place: Place) => void) {
    this.#tended = tended
  }

  /** Something is due at the place then, in ms of `performance.now`. */
  watch(place: Place, at: number): void {
    this.places.add(place)
    if (at >= this.#timerAt || this.#stopped) return
    clearTimeout(this.#timer)
    this.#arm(at)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  #arm(at: number): void {
    this.#timerAt = at
    const delay = Math.min(Math.max(at - steadyNow(), 0), LONGEST_TIMER)
    this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, this.#tend, delay)
    this.#timer.unref?.()
  }

  readonly #tend = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = steadyNow()
    let next = Number.POSITIVE_INFINITY
    for (const place of this.places) {
      place.tend(now)
      if (place.isIdle) this.places.delete(place)
      else next = Math.min(next, place.dueAt)
      this.#tended(place)
    }
    if (next < Number.POSITIVE_INFINITY && !this.#stopped) this.#arm(Math.max(next, now + 1))
  }
}
