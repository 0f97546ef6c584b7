/** Clocks of the adversary: they run fast or slow, jump and stop. Real time is in whole µs from 0. */
import type { Instant } from '../../src/leases/lease.ts'

/** The server's time: at its own rate, and with jumps. */
export class ServerClock {
  readonly #rate: number
  readonly #jumps: { readonly at: number; readonly shift: number; readonly forwards: number }[] = [
    { at: 0, shift: 1_800_000_000_000_000, forwards: 0 },
  ]

  /** @param drift parts of 1 by which the clock is fast */
  constructor(drift: number) {
    this.#rate = 1 + drift
  }

  at(time: number): number {
    const { shift } = this.#since(time)
    return shift + Math.floor(time * this.#rate)
  }

  /** How far the clock has gone forwards until then: by running, and by jumps. */
  forwards(time: number): number {
    return this.#since(time).forwards + Math.floor(time * this.#rate)
  }

  jump(time: number, by: number): void {
    const { shift, forwards } = this.#since(time)
    this.#jumps.push({ at: time, shift: shift + by, forwards: forwards + Math.max(by, 0) })
  }

  #since(time: number) {
    const [first, ...later] = this.#jumps
    let found = first
    for (const jump of later) if (jump.at <= time) found = jump
    if (found === undefined) throw new RangeError(`no time is known at ${time}`)
    return found
  }
}

/** The two clocks of a process: the steady clock stops while the machine sleeps, and the wall clock jumps. */
export class ProcessClock {
  readonly #rate: number
  #slept = 0
  #jumped = 0

  constructor(drift: number) {
    this.#rate = 1 + drift
  }

  at(time: number): Instant {
    return {
      steady: (time - this.#slept) * this.#rate,
      wall: Math.floor((1_800_000_000_000_000 + time * this.#rate + this.#jumped) / 1000),
    }
  }

  /** In which the clocks run for so long. */
  realTime(duration: number): number {
    return duration / this.#rate
  }

  sleep(duration: number): void {
    this.#slept += duration
  }

  jump(by: number): void {
    this.#jumped += by
  }
}
