/** The channels on which a store is told of permits that were handed over: one on a server, one for each hash tag in a cluster. */
import type { Ears, Listener } from '../permits/ears.ts'
import type { RedisConnection } from './clients/client.ts'
import type { Subscriber } from './clients/subscriber.ts'
import type { KeyNames } from './keys.ts'

/** How many channels a store listens to at most. Those of other keys are polled. */
const MOST_CHANNELS = 1000

export class RedisEars implements Ears {
  readonly sharded: 0 | 1
  readonly #connection: RedisConnection
  readonly #names: KeyNames
  readonly #holder: number
  readonly #subscriber: Subscriber | undefined
  /** Whether messages arrive, by channel; the least recently wanted is first. */
  readonly #channels = new Map<string, boolean>()
  /** The key that was last asked for, and its channel, because many requests in a row are about one key. */
  #lastKey: string | undefined
  #lastChannel = ''

  constructor(connection: RedisConnection, names: KeyNames, { holder, told, connected, lost }: Listener) {
    this.sharded = connection.cluster ? 1 : 0
    this.#connection = connection
    this.#names = names
    this.#holder = holder
    this.#subscriber = connection.openSubscriber({
      message: told,
      subscribed: (channels) => {
        for (const channel of channels) if (this.#channels.has(channel)) this.#channels.set(channel, true)
        connected()
      },
      lost: (channels) => {
        for (const channel of channels) if (this.#channels.has(channel)) this.#channels.set(channel, false)
        lost()
      },
    })
  }

  hears(key: string): boolean {
    return this.#channels.get(this.#channelOf(key)) === true
  }

  listen(key: string): void {
    if (this.#subscriber === undefined) return
    const channel = this.#channelOf(key)
    const known = this.#channels.get(channel)
    this.#channels.delete(channel)
    this.#channels.set(channel, known ?? false)
    if (known !== undefined) return
    this.#subscriber.subscribe(channel)
    const [oldest] = this.#channels.keys()
    if (this.#channels.size <= MOST_CHANNELS || oldest === undefined) return
    this.#channels.delete(oldest)
    this.#subscriber.unsubscribe(oldest)
  }

  close(): void {
    this.#subscriber?.close()
  }

  /** As `lua/includes/permit_hand_over.lua` makes it from the names of keys. */
  #channelOf(key: string): string {
    if (key !== this.#lastKey) {
      this.#lastChannel = this.#nameOf(key)
      this.#lastKey = key
    }
    return this.#lastChannel
  }

  #nameOf(key: string): string {
    const { cluster, keyPrefix } = this.#connection
    const name = keyPrefix + (cluster ? `${this.#names.stem(key)}}` : this.#names.start)
    const [, start = ''] = (cluster ? /^(.*?:\{[^}]*\})/s : /^(.*?):\{/s).exec(name) ?? []
    return `${start}:wake:${this.#holder}`
  }
}
