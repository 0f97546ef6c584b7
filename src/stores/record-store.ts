/**
 * Calls the methods of a custom store under a timeout and the caller's signal. Work on one record is done in turns, one after another, so
 * that a store with only `get` and `set` loses no update inside this process.
 *
 * A turn lasts until its call has returned, because a write in flight could overwrite a later one. A turn ends at the timeout at the
 * latest, so that a call which never returns does not block the record.
 */
import { named } from '../arguments.ts'
import { checkedTime } from '../clock.ts'
import { MismatchedDataError, StoreTimeoutError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import { type Awaitable, Patience } from './patience.ts'

/** The methods of a store that limiters call. */
export interface RecordStore {
  get(key: string): Awaitable<LimitData | undefined>
  compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Awaitable<LimitData>
  delete(key: string): Awaitable<void>
  currentTime(): Awaitable<number>
}

export interface QuestionOptions {
  /** Ends the wait when aborted. */
  readonly signal?: AbortSignal | undefined
  /** True: once the first write was sent, all others follow, even if the caller has gone. Default false. */
  readonly finishes?: boolean
}

/** One request of a limiter: as many calls of the store as its answer needs. */
export class Question {
  /** True once a write was sent, so that units may have been counted. */
  sent = false
  /** Describes the call that has not returned yet, for the message of a timeout. */
  pending = ''
  #late: Error | undefined
  readonly #signal: AbortSignal | undefined
  readonly #finishes: boolean

  constructor({ signal, finishes = false }: QuestionOptions) {
    this.#signal = signal
    this.#finishes = finishes
  }

  /** The signal that ends the wait for a read. `undefined`: none does. */
  get signal(): AbortSignal | undefined {
    return this.#finishes ? undefined : this.#signal
  }

  /** @throws if the caller has timed out or aborted, because no further call may be sent then. */
  proceed(): void {
    if (this.#finishes && this.sent) return
    if (this.#late !== undefined) throw this.#late
    this.#signal?.throwIfAborted()
  }

  /** Marks the question as timed out, and returns the error. */
  expire(timeout: number): Error {
    this.#late = new StoreTimeoutError(timeout, this.sent, new Error(this.pending))
    return this.#late
  }
}

const READY = Promise.resolve()

export class RecordAccess {
  readonly #store: RecordStore
  readonly #patience: Patience
  /** The last turn on each record. Records without waiting work have no entry. */
  readonly #turns = new Map<string, Promise<unknown>>()

  /** @param timeout ms */
  constructor(store: RecordStore, timeout: number) {
    this.#store = store
    this.#patience = new Patience(timeout)
  }

  /** Runs `work` as one question, under the timeout. */
  ask<T>(work: (question: Question) => Promise<T>, options: QuestionOptions = {}): Promise<T> {
    const question = new Question(options)
    return this.#patience.within(
      () => work(question),
      () => question.expire(this.#patience.timeout),
      options.signal,
    )
  }

  /** Runs `work` after all earlier work of this process on the record. */
  async inTurn<T>(question: Question, name: string, work: () => Promise<T>): Promise<T> {
    const go = (): Promise<T> => {
      question.proceed()
      return work()
    }
    question.pending = 'earlier questions about the key have not been answered'
    const turn = (this.#turns.get(name) ?? READY).then(go, go)
    this.#turns.set(name, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(name) === turn) this.#turns.delete(name)
    }
  }

  async currentTime(question: Question): Promise<number> {
    const time = await this.#read(question, 'currentTime', () => this.#store.currentTime())
    return checkedTime(`currentTime of ${this.#name}`, time)
  }

  async get(question: Question, name: string): Promise<LimitData | undefined> {
    const data: unknown = await this.#read(question, 'get', () => this.#store.get(name))
    if (data === undefined || data instanceof LimitData) return data
    throw new TypeError(`get of ${this.#name} must return a LimitData or undefined, got ${named(data)}`)
  }

  /** @throws MismatchedDataError if the stored record differs from `old`. */
  async compareAndSwap(
    question: Question,
    name: string,
    old: LimitData | undefined,
    data: LimitData,
    ttl: number,
  ): Promise<void> {
    const { sent } = question
    try {
      await this.#write(question, 'compareAndSwap', () => this.#store.compareAndSwap(name, old, data, ttl))
    } catch (error) {
      // A failed swap has written nothing.
      if (error instanceof MismatchedDataError) question.sent = sent
      throw error
    }
  }

  async delete(question: Question, name: string): Promise<void> {
    await this.#write(question, 'delete', () => this.#store.delete(name))
  }

  get #name(): string {
    return this.#store.constructor.name
  }

  #read<T>(question: Question, method: string, read: () => Awaitable<T>): Promise<T> {
    question.proceed()
    return this.#call(question, method, read, question.signal)
  }

  /** Takes no signal, because a write in flight must keep its turn. */
  #write<T>(question: Question, method: string, write: () => Awaitable<T>): Promise<T> {
    question.proceed()
    question.sent = true
    return this.#call(question, method, write)
  }

  #call<T>(question: Question, method: string, call: () => Awaitable<T>, signal?: AbortSignal): Promise<T> {
    const pending = `${method} of ${this.#name} has not answered`
    question.pending = pending
    const late = (): Error => new StoreTimeoutError(this.#patience.timeout, question.sent, new Error(pending))
    return this.#patience.within(call, late, signal)
  }
}
