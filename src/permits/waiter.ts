/** A caller who waits for a permit. */
import { StoreError } from '../errors.ts'
import { HELD, WAITS } from '../operations/ticket-status.ts'
import type { RateLimitResult } from '../result.ts'
import { sleep } from '../sleep.ts'
import { setImmediate, steadyNow } from '../unmocked.ts'
import type { WaitingTicket } from './own-tickets.ts'
import type { Place } from './place.ts'

/** A permit whose turn has come. */
export interface Granted {
  readonly token: number
  /** In ms of `performance.now`. */
  readonly deadline: number
  /** The result that a peek at the layer would give. */
  readonly result: RateLimitResult
}

/** The shortest and longest pause after an error of the store, in ms. */
const SHORTEST_PAUSE = 25
const LONGEST_PAUSE = 250

export interface WaiterOptions {
  readonly serial: number
  readonly quantity: number
  readonly priority: number
  readonly maxQueue: number
  /** When the caller waits no more, in ms of `performance.now`. */
  readonly end: number
  /** True: an error of the store ends the wait, because another store can be asked. */
  readonly failsFast: boolean
}

export class Waiter implements WaitingTicket {
  readonly serial: number
  readonly quantity: number
  readonly priority: number
  readonly maxQueue: number
  turn = -1
  token: number | undefined
  readonly place: Place
  /** Resolves when the permit is held, or with a limited result if the caller may not wait. `undefined`: the longest wait is over. */
  readonly answer: Promise<Granted | RateLimitResult | undefined>
  readonly #end: number
  readonly #failsFast: boolean
  #resolve: (answer: Granted | RateLimitResult | undefined) => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #asking = false

  constructor(place: Place, { serial, quantity, priority, maxQueue, end, failsFast }: WaiterOptions) {
    this.place = place
    this.serial = serial
    this.quantity = quantity
    this.priority = priority
    this.maxQueue = maxQueue
    this.#end = end
    this.#failsFast = failsFast
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // Handled where the caller waits; until then nobody may.
    this.answer.catch(() => {})
    place.waiting.set(serial, this)
  }

  granted(token: number, deadline: number, result: RateLimitResult): void {
    this.#resolve({ token, deadline, result })
  }

  /** The longest wait is over. */
  giveUp(): void {
    this.#resolve(undefined)
  }

  fail(reason: unknown): void {
    this.#reject(reason)
  }

  /** Waits no more, without telling the server. */
  leave(): void {
    this.place.waiting.delete(this.serial)
  }

  get #waits(): boolean {
    return this.place.waiting.get(this.serial) === this
  }

  /** Asks for the permit alone, again and again where the store fails, until the server has answered or the caller waits no more. */
  async ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    let pause = SHORTEST_PAUSE
    while (this.#waits) {
      try {
        const { asked, sentAt } = await this.place.ask(this)
        if (!this.#waits) {
          this.#endIfForgotten()
        } else if (asked.status === WAITS) this.turn = asked.value
        else {
          this.leave()
          if (asked.status === HELD) this.granted(asked.value, this.place.deadlineFrom(sentAt), asked.result)
          else this.#resolve(asked.result)
        }
        break
      } catch (error) {
        if (!(error instanceof StoreError) || this.#failsFast || steadyNow() + pause >= this.#end) {
          this.fail(error)
          break
        }
        await sleep(pause)
        pause = Math.min(pause * 2, LONGEST_PAUSE)
      }
    }
    this.#asking = false
  }

  /** Ends the ticket, if the permit or the place in the queue for which it was asked again is wanted no more. */
  #endIfForgotten(): void {
    // Whoever was granted the permit meanwhile holds it by then.
    setImmediate(() => {
      if (!this.place.held.has(this.serial)) this.place.end(this).catch(() => {})
    })
  }

  askAgain(): void {
    void this.ask()
  }

  unheard(error: StoreError): void {
    if (this.#failsFast) this.fail(error)
  }
}

export function isGranted(answer: Granted | RateLimitResult): answer is Granted {
  return 'token' in answer
}
