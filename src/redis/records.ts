/** Records that users get and set themselves, as JSON under `<prefix>:{<key>}:data`, apart from the limiters' states. */
import calculateSlot from 'cluster-key-slot'
import { checkKey, named } from '../arguments.ts'
import { type Clock, readClock } from '../clock.ts'
import { type Duration, positiveMilliseconds } from '../duration.ts'
import { MismatchedDataError, StoreUnavailableError } from '../errors.ts'
import { LimitData } from '../limit-data.ts'
import * as lua from './call/lua.generated.ts'
import { ask, ping, command as runCommand } from './call/run-script.ts'
import { script } from './call/scripts.ts'
import type { DeciderContext } from './decider.ts'

/** The longest time to live that is sent, in ms: practically forever, and within what Redis accepts. */
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
    // MGET, because GET fails on a value of another type.
    const reply = await this.#command('MGET', key)
    return read(bytesOf(Array.isArray(reply) ? reply[0] : undefined).toString())
  }

  async set(key: string, data: LimitData, ttl?: Duration): Promise<LimitData> {
    const text = textFor(data)
    const expiry = expiryFor(ttl)
    await this.#command('SET', key, [text, ...(expiry === '' ? [] : ['PX', expiry])])
    return data
  }

  async compareAndSwap(key: string, old: LimitData | undefined, data: LimitData, ttl?: Duration): Promise<LimitData> {
    const [text, expiry] = [textFor(data), expiryFor(ttl)]
    const [name, node] = this.#find(key)
    let expected: string | Buffer = old === undefined ? '' : textFor(old)
    while (true) {
      const found = await this.#swap(name, node, [expected, text, expiry])
      if (found === undefined) return data
      const actual = read(found.toString())
      // Another program may have written the same record as a different text, or a text that is no record. If the record still equals
      // `old`, swap again, now expecting that text.
      const same = actual === undefined ? old === undefined : actual.equals(old)
      if (!same || found.equals(Buffer.from(expected))) throw new MismatchedDataError(old, actual)
      expected = found
    }
  }

  /** The text found instead of the expected one. `undefined`: the swap was made. */
  async #swap(name: string, node: string, args: readonly (string | Buffer)[]): Promise<Buffer | undefined> {
    const { connection, coalescer } = this.#context
    const found = await coalescer.within(() => ask(connection, node, COMPARE_AND_SWAP, [name], args))
    return found === undefined ? undefined : bytesOf(found)
  }

  async delete(key: string): Promise<void> {
    await this.#command('UNLINK', key)
  }

  async currentTime(): Promise<number> {
    if (this.#clock !== undefined) return readClock(this.#clock)
    const { connection, coalescer } = this.#context
    const time = await coalescer.within(() => runCommand(connection, '', 'TIME', []))
    if (!Array.isArray(time)) throw new StoreUnavailableError(`Redis answered TIME with ${named(time)}`)
    const [seconds, microseconds] = time
    return Number(seconds) * 1_000_000 + Number(microseconds)
  }

  async ping(): Promise<boolean> {
    try {
      const { connection, coalescer } = this.#context
      await coalescer.within(() => ping(connection))
      return true
    } catch {
      return false
    }
  }

  async #command(command: string, key: string, args: readonly string[] = []): Promise<unknown> {
    const { connection, coalescer } = this.#context
    const [name, node] = this.#find(key)
    return coalescer.within(() => runCommand(connection, node, command, [name], args))
  }

  /** The record's key name, and the node that holds it (`''` for a single server). */
  #find(key: string): [name: string, node: string] {
    checkKey(key)
    const { connection, names } = this.#context
    return [`${names.stem(key)}}:data`, connection.cluster ? connection.nodeOf(calculateSlot(names.tag(key))) : '']
  }
}

function textFor(data: LimitData): string {
  if (!(data instanceof LimitData)) throw new TypeError(`data must be a LimitData, got ${named(data)}`)
  return JSON.stringify(data)
}

function expiryFor(ttl: Duration | undefined): string {
  if (ttl === undefined) return ''
  return String(Math.min(Math.ceil(positiveMilliseconds('ttl', ttl)), LONGEST_TTL))
}

function bytesOf(reply: unknown): Buffer {
  return reply instanceof Uint8Array ? Buffer.from(reply) : Buffer.of()
}

/** Parses a record. A text that is no record, because another program wrote it, counts as none. */
function read(text: string): LimitData | undefined {
  if (text === '') return undefined
  try {
    return LimitData.fromJSON(text)
  } catch {
    return undefined
  }
}
