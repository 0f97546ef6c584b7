/** Records that are set by hand, for limiters of one's own: JSON under `<prefix>:{<key>}:data`, apart from the limiters' states. */
import { checkKey, checkMilliseconds, named } from '../arguments.ts'
import { type Clock, readClock } from '../clock.ts'
import { MismatchedDataError, StoreUnavailableError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import type { DeciderContext } from './decider.ts'
import * as lua from './lua.generated.ts'
import { run, script } from './script.ts'

const COMPARE_AND_SWAP = script(lua.compareAndSwap)

export class Records {
  readonly #context: DeciderContext
  readonly #clock: Clock | undefined

  constructor(context: DeciderContext, clock: Clock | undefined) {
    this.#context = context
    this.#clock = clock
  }

  async get(key: string): Promise<LimitData | undefined> {
    return read(textOf(await this.#send('GET', [this.#name(key)])))
  }

  async set(key: string, data: LimitData, ttl?: number): Promise<LimitData> {
    const text = textFor(data)
    const expiry = expiryFor(ttl)
    await this.#send('SET', [this.#name(key), text, ...(expiry === '' ? [] : ['PX', expiry])])
    return data
  }

  async compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: number): Promise<LimitData> {
    const { connection, coalescer } = this.#context
    const args = [old === undefined ? '' : textFor(old), textFor(data), expiryFor(ttl)]
    const name = this.#name(key)
    const found = await coalescer.within(() => run(connection, COMPARE_AND_SWAP, [name], args))
    if (found === null) return data
    throw new MismatchedDataError(old, read(textOf(found)))
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
  return String(Math.ceil(ttl))
}

function textOf(reply: unknown): string {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : ''
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
