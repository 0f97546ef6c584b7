/**
 * How limiters ask a store of one's own: under its timeout and the caller's signal, and one after another on a record, so that a
 * store with only `get` and `set` loses no update inside this process.
 *
 * A turn lasts until its call has answered, for a write that is still on its way could undo what is written after it; but no
 * longer than the timeout, so that a call which never answers does not block the record.
 */
import { named } from '../arguments.ts'
import { checkedTime } from '../clock.ts'
import { MismatchedDataError, StoreTimeoutError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import { type Awaitable, Patience } from './patience.ts'

/** The methods of a store that limiters ask. */
export interface RecordStore {
  get(key: string): Awaitable<LimitData | undefined>
  compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Awaitable<LimitData>
  delete(key: string): Awaitable<void>
  currentTime(): Awaitable<number>
}

export interface QuestionOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined
  /** Once something is written, the rest is written too, though nobody waits any more. */
  readonly finishes?: boolean
}

/** What one caller waits for: as many calls of the store as the answer needs. */
export class Question {
  /** True when a write has left, so that it may have been counted. */
  sent = false
  /** What has not answered yet, to be told when the time is over. */
  pending = ''
  #late: Error | undefined
  readonly #signal: AbortSignal | undefined
  readonly #finishes: boolean

  constructor({ signal, finishes = false }: QuestionOptions) {
    this.#signal = signal
    this.#finishes = finishes
  }

  /** What ends the wait for a read. */
  get signal(): AbortSignal | undefined {
    return this.#finishes ? undefined : this.#signal
  }

  /** @throws when nobody waits any more: what has not left must never leave then. */
  proceed(): void {
    if (this.#finishes && this.sent) return
    if (this.#late !== undefined) throw this.#late
    this.#signal?.throwIfAborted()
  }

  /** The time is over. */
  expire(timeout: number): Error {
    this.#late = new StoreTimeoutError(timeout, this.sent, new Error(this.pending))
    return this.#late
  }
}

const READY = Promise.resolve()

export class RecordAccess {
  readonly #store: RecordStore
  readonly #patience: Patience
  /** The last turn on each record that has one. */
  readonly #turns = new Map<string, Promise<unknown>>()

  /** @param timeout ms */
  constructor(store: RecordStore, timeout: number) {
    this.#store = store
    this.#patience = new Patience(timeout)
  }

  /** What `work` finds out within the timeout. */
  ask<T>(work: (question: Question) => Promise<T>, options: QuestionOptions = {}): Promise<T> {
    const question = new Question(options)
    return this.#patience.within(
      () => work(question),
      () => question.expire(this.#patience.timeout),
      options.signal,
    )
  }

  /** Does `work` after all that was asked before on this record in this process. */
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

  /** @throws MismatchedDataError when `old` is stale. */
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
      // It has written nothing.
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

  /** Not even a signal ends the turn of a write that has left. */
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
