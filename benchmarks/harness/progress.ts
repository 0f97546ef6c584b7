/** Shows progress on a terminal, and nothing elsewhere. */
import { SingleBar } from 'cli-progress'

export class Progress {
  readonly #bar = new SingleBar({
    format: '{question} [{bar}] {value}/{total} {now}',
    hideCursor: true,
    clearOnComplete: true,
  })
  #running = false

  /** Begins a question; `expect` then adds its steps. */
  start(question: string): void {
    this.#bar.start(0, 0, { question, now: '' })
    this.#running = true
  }

  /** Adds to the number of expected steps. */
  expect(steps: number): void {
    if (this.#running) this.#bar.setTotal(this.#bar.getTotal() + steps)
  }

  step(now: string): void {
    if (this.#running) this.#bar.increment(1, { now })
  }

  stop(): void {
    this.#bar.stop()
    this.#running = false
  }
}
