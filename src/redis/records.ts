/** Records that are set by hand, for limiters of one's own: JSON under `<prefix>:{<key>}:data`, apart from the limiters' states. */
import { checkKey, checkMilliseconds, named } from '../arguments.ts'
import { type Clock, readClock } from '../clock.ts'
import { MismatchedDataError, StoreUnavailableError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import type { DeciderContext } from './decider.ts'
import * as lua from './lua.generated.ts'
import { run, script } from './script.ts'

/** Longer than Redis will run, and short enough for it, in ms. */
const LONGEST_TTL = Number.MAX_SAFE_INTEGER

const COMPARE_AND_SWAP = script(lua.compareAndSwap)

export class Records {
  readonly #context: DeciderContext
  readonly #clock: Clock | undefined

  constructor(context: DeciderContext, clock: Clock | undefined) {
    this.#context = context
    this.#clock = clock
  }

  async get(key: string): Promise<LimitData | undefined> {
    // GET would fail on a value of another type.
    const reply = await this.#send('MGET', [this.#name(key)])
    return read(bytesOf(Array.isArray(reply) ? reply[0] : undefined).toString())
  }

  async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    const text = textFor(data)
    const expiry = expiryFor(ttl)
    await this.#send('SET', [this.#name(key), text, ...(expiry === '' ? [] : ['PX', expiry])])
    return data
  }

  async compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    const [text, expiry] = [textFor(data), expiryFor(ttl)]
    const name = this.#name(key)
    let expected: string | Buffer = old === undefined ? '' : textFor(old)
    while (true) {
      const found = await this.#swap(name, [expected, text, expiry])
      if (found === undefined) return data
      const actual = read(found.toString())
      // Texts may differ where records do not: what was written by somebody else reads as nothing, or as a record all the same.
      const same = actual === undefined ? old === undefined : actual.equals(old)
      if (!same || found.equals(Buffer.from(expected))) throw new MismatchedDataError(old, actual)
      expected = found
    }
  }

  /** What was found instead of `expected`; `undefined` when swapped. */
  async #swap(name: string, args: readonly (string | Buffer)[]): Promise<Buffer | undefined> {
    const { connection, coalescer } = this.#context
    const found = await coalescer.within(() => run(connection, COMPARE_AND_SWAP, [name], args))
    return found === null ? undefined : bytesOf(found)
  }

  async delete(key: string): Promise<void> {
    await this.#send('UNLINK', [this.#name(key)])
  }

  async currentTime(): Promise<number> {
    if (this.#clock !== undefined) return readClock(this.#clock)
    const time = await this.#send('TIME', [])
    if (!Array.isArray(time)) throw new StoreUnavailableError(`Redis answered TIME with ${named(time)}`)
    const [seconds, microseconds] = time
    return Number(seconds) * 1_000_000 + Number(microseconds)
  }

  async ping(): Promise<boolean> {
    try {
      await this.#send('PING', [])
      return true
    } catch {
      return false
    }
  }

  #send(name: string, args: readonly string[]): Promise<unknown> {
    return this.#context.coalescer.within(() => this.#context.connection.send(name, args))
  }

  #name(key: string): string {
    checkKey(key)
    return `${this.#context.names.stem(key)}}:data`
  }
}

function textFor(data: LimitData): string {
  if (!(data instanceof LimitData)) throw new TypeError(`data must be a LimitData, got ${named(data)}`)
  return JSON.stringify(data)
}

function expiryFor(ttl: number | undefined): string {
  if (ttl === undefined) return ''
  checkMilliseconds('ttl', ttl)
  return String(Math.min(Math.ceil(ttl), LONGEST_TTL))
}

function bytesOf(reply: unknown): Buffer {
  return reply instanceof Uint8Array ? Buffer.from(reply) : Buffer.of()
}

/** A text that is no record, written by somebody else, reads as none. */
function read(text: string): LimitData | undefined {
  if (text === '') return undefined
  try {
    return LimitData.fromJSON(text)
  } catch {
    return undefined
  }
}
