/** How far the run is; silent where there is no terminal. */
import { SingleBar } from 'cli-progress'

export class Progress {
  readonly #bar = new SingleBar({
    format: '{question} [{bar}] {value}/{total} {now}',
    hideCursor: true,
    clearOnComplete: true,
  })
  #running = false

  /** A new question: how far it goes is told by `expect`. */
  start(question: string): void {
    this.#bar.start(0, 0, { question, now: '' })
    this.#running = true
  }

  /** So many more steps are to come. */
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
