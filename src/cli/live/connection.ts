/** The store that a command asks: its options, and a connection for commands that are no decisions. */
import type { Command } from 'commander'
import { StoreUnavailableError } from '../../errors.ts'
import type { RedisConnection } from '../../redis/clients/client.ts'
import { KeyNames } from '../../redis/keys.ts'
import { sourceOf, tagOf } from '../../redis/options.ts'
import { RedisStore } from '../../redis/store.ts'
import { urlWithoutSecrets } from '../../secrets.ts'
import { sleep } from '../../sleep.ts'
import { UsageError } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'

/** Options of every command that asks a store. */
export interface StoreOptions {
  readonly url?: string
  readonly prefix?: string
  readonly timeout: string
}

export function addStoreOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the Redis store, such as redis://localhost:6379 (default: the variable ONRUSH_URL)')
    .option('--prefix <prefix>', 'the prefix of the store (default: that of the URL, or onrush)')
    .option('--timeout <duration>', 'how long the store may take', '2s')
}

/** A store, and a connection of its own for other commands. */
export class LiveStore implements AsyncDisposable {
  readonly store: RedisStore
  readonly connection: RedisConnection
  readonly names: KeyNames
  readonly prefix: string
  /** The URL without its password. */
  readonly shownUrl: string
  readonly #quit: () => Promise<void>

  private constructor(url: string, { prefix: given, timeout }: StoreOptions) {
    const options = { url, timeout, ...(given === undefined ? {} : { prefix: given }) }
    this.store = new RedisStore(options)
    const { inUrl, open } = sourceOf(options)
    const { connection, own } = open(2000, false)
    this.connection = connection
    this.prefix = given ?? inUrl.prefix ?? 'onrush'
    this.names = new KeyNames(this.prefix, tagOf(inUrl.shards, undefined))
    this.shownUrl = urlWithoutSecrets(url)
    this.#quit = async () => {
      own?.disconnect()
    }
  }

  /**
   * @throws UsageError without a URL, or for one of another kind of store
   * @throws StoreUnavailableError if the store cannot be reached
   */
  static async open(options: StoreOptions, { environment }: Terminal): Promise<LiveStore> {
    const url = options.url ?? environment.ONRUSH_URL
    if (url === undefined || url === '')
      throw new UsageError('give --url, or set ONRUSH_URL, such as redis://localhost:6379')
    const live = new LiveStore(url, options)
    await live.#reach()
    return live
  }

  /** The value of a key. `undefined`: there is none, or it is no text, which counts as none in decisions too. */
  async value(name: string): Promise<Buffer | undefined> {
    const value = await this.ofItsType('GET', [name])
    return Buffer.isBuffer(value) ? value : undefined
  }

  /** The bytes of a key's value. 0: there is none. */
  async lengthOf(name: string): Promise<number> {
    return Number((await this.ofItsType('STRLEN', [name])) ?? 0)
  }

  /** The reply to a command that reads a key. `undefined`: the key is of another type. */
  async ofItsType(command: string, args: readonly string[]): Promise<unknown> {
    try {
      return await this.connection.send(command, args)
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return undefined
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#quit()
    await this.store.close().catch(() => {})
  }

  /** Waits for the connection; an error says why there is none. */
  async #reach(): Promise<void> {
    for (const until = performance.now() + 2000; !this.connection.isReady; ) {
      const opening = this.connection.opening()
      await Promise.race([opening, sleep(100)])
      if (this.connection.isReady) return
      if (this.connection.isClosed || performance.now() > until) {
        await this[Symbol.asyncDispose]()
        const { failure } = this.connection
        const reason = failure instanceof Error ? failure.message : 'no answer'
        throw new StoreUnavailableError(`cannot reach ${this.shownUrl}: ${reason}`, { cause: failure })
      }
      if (opening === undefined) await sleep(20)
    }
  }
}
