/** What the games of leases watch. */
import type { Layer } from '../../src/algorithms/driver.ts'
import { copyOf, type Position, type Referee, statesKey, type World } from './leases-game.ts'

/** A span that the adversary has begun. */
interface Span {
  readonly start: number
  readonly used: number
}

/** The most units that are used in a closed span, by its length. */
export class MostInSpans implements Referee<Span | undefined> {
  readonly most: number[] = []

  begin(): undefined {
    return undefined
  }

  at(span: Span | undefined, { now }: Position): readonly (Span | undefined)[] {
    if (span === undefined) return [undefined, this.#noted({ start: now, used: 0 }, now)]
    return [this.#noted(span, now)]
  }

  use(span: Span | undefined, { now }: Position): Span | undefined {
    return span && this.#noted({ start: span.start, used: span.used + 1 }, now)
  }

  keyOf(span: Span | undefined): string {
    return span === undefined ? '' : `${span.start}+${span.used}`
  }

  #noted(span: Span, now: number): Span {
    const length = now - span.start
    this.most[length] = Math.max(this.most[length] ?? 0, span.used)
    return span
  }
}

/** Each use is admitted by the same limiter without leases, which sees only what is used. */
export class PlainTwin implements Referee<readonly unknown[]> {
  readonly #layers: readonly Layer[]

  constructor({ layers }: World) {
    this.#layers = layers
  }

  begin(): readonly unknown[] {
    return this.#layers.map(({ algorithm, quota }) => algorithm.open(0, quota))
  }

  at(states: readonly unknown[], { now }: Position): readonly (readonly unknown[])[] {
    return [this.#layers.map(({ algorithm, quota }, index) => algorithm.roll(copyOf(states[index]), now, quota))]
  }

  use(states: readonly unknown[], { now }: Position): readonly unknown[] | string {
    const layers = this.#layers
    if (layers.some(({ algorithm, quota }, index) => algorithm.available(states[index], now, quota) === 0))
      return `used where the limiter without leases refuses: ${statesKey(layers, states, now)}`
    return layers.map(({ algorithm, quota }, index) =>
      algorithm.roll(algorithm.spend(copyOf(states[index]), 1, now, quota), now, quota),
    )
  }

  keyOf(states: readonly unknown[], now: number): string {
    return statesKey(this.#layers, states, now)
  }
}

interface WindowUse {
  readonly start: number
  readonly used: number
}

/** At most the limit is used in each window of the only layer, which counts in windows. */
export class MostInWindows implements Referee<WindowUse> {
  readonly #limit: number

  constructor({ layers }: World) {
    this.#limit = Math.min(...layers.map(({ quota }) => quota.limit))
  }

  begin(): WindowUse {
    return { start: 0, used: 0 }
  }

  at(window: WindowUse, position: Position): readonly WindowUse[] {
    return [inWindow(window, position)]
  }

  use(before: WindowUse, position: Position): WindowUse | string {
    const { start, used } = inWindow(before, position)
    return used < this.#limit
      ? { start, used: used + 1 }
      : `more than ${this.#limit} are used in the window of ${start}`
  }

  keyOf({ start, used }: WindowUse): string {
    return `${start}+${used}`
  }
}

function inWindow(window: WindowUse, { states: [state] }: Position): WindowUse {
  const start = Array.isArray(state) ? Number(state[0]) : Number.NaN
  return start === window.start ? window : { start, used: 0 }
}
