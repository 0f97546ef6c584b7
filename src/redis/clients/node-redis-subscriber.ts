/** Listens to channels by node-redis: by a duplicate of a client, and by a cluster itself, which has connections for it. */
import type { AnyNodeRedis, NodeRedisCluster } from './node-redis-shape.ts'
import type { Subscriber, SubscriberEvents } from './subscriber.ts'

/** A client that listens. */
interface Listening {
  connect(): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  destroy(): unknown
  on(event: string, listener: () => void): unknown
}

interface Duplicable {
  duplicate(): Listening
}

interface ShardedListening {
  sSubscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  sUnsubscribe(channel: string): Promise<unknown>
}

/** `undefined`: a pool, whose members come and go. */
export function nodeRedisSubscriber(client: AnyNodeRedis, events: SubscriberEvents): Subscriber | undefined {
  if (isShardedListening(client)) return new ClusterSubscriber(client, events)
  if ('execute' in client || !isDuplicable(client)) return undefined
  return new ClientSubscriber(client.duplicate(), events)
}

function isDuplicable(client: object): client is Duplicable {
  return 'duplicate' in client && typeof client.duplicate === 'function'
}

function isShardedListening(client: object): client is NodeRedisCluster & ShardedListening {
  return 'slots' in client && 'sSubscribe' in client && typeof client.sSubscribe === 'function'
}

class ClientSubscriber implements Subscriber {
  readonly #client: Listening
  readonly #events: SubscriberEvents
  readonly #channels = new Set<string>()
  readonly #subscribed = new Set<string>()
  #isReady = false

  constructor(client: Listening, events: SubscriberEvents) {
    this.#client = client
    this.#events = events
    const lose = (): void => {
      this.#isReady = false
      events.lost([...this.#channels])
    }
    client.on('error', lose)
    client.on('end', lose)
    client.on('reconnecting', lose)
    // node-redis subscribes again by itself before it is ready.
    client.on('ready', () => {
      this.#isReady = true
      events.subscribed([...this.#subscribed])
      for (const channel of this.#channels) if (!this.#subscribed.has(channel)) this.#send(channel)
    })
    client.connect().catch(() => {})
  }

  subscribe(channel: string): void {
    this.#channels.add(channel)
    if (this.#isReady) this.#send(channel)
  }

  unsubscribe(channel: string): void {
    this.#channels.delete(channel)
    if (this.#subscribed.delete(channel)) this.#client.unsubscribe(channel).catch(() => {})
  }

  close(): void {
    this.#channels.clear()
    this.#client.destroy()
  }

  #send(channel: string): void {
    this.#client
      .subscribe(channel, (message) => this.#events.message(message))
      .then(
        () => {
          if (!this.#channels.has(channel)) return
          this.#subscribed.add(channel)
          if (this.#isReady) this.#events.subscribed([channel])
        },
        () => {},
      )
  }
}

/** A cluster follows slots that move by itself. */
class ClusterSubscriber implements Subscriber {
  readonly #cluster: ShardedListening
  readonly #events: SubscriberEvents
  readonly #channels = new Set<string>()

  constructor(cluster: ShardedListening, events: SubscriberEvents) {
    this.#cluster = cluster
    this.#events = events
  }

  subscribe(channel: string): void {
    this.#channels.add(channel)
    this.#cluster
      .sSubscribe(channel, (message) => this.#events.message(message))
      .then(
        () => {
          if (this.#channels.has(channel)) this.#events.subscribed([channel])
        },
        () => {},
      )
  }

  unsubscribe(channel: string): void {
    this.#channels.delete(channel)
    this.#cluster.sUnsubscribe(channel).catch(() => {})
  }

  close(): void {
    for (const channel of this.#channels) this.unsubscribe(channel)
  }
}
