/** Listens to channels by duplicates of an ioredis client: one for a server, one for each node of a cluster that has channels. */
import calculateSlot from 'cluster-key-slot'
import type { IoredisClient, IoredisCluster, IoredisNode } from './ioredis-shape.ts'
import type { Subscriber, SubscriberEvents } from './subscriber.ts'

/** How long to wait before a channel is subscribed again whose slot has moved, in ms. */
const PAUSE = 500

/** `undefined`: the client cannot be duplicated. */
export function ioredisSubscriber(client: IoredisClient, events: SubscriberEvents): Subscriber | undefined {
  if ('slots' in client) return new ClusterSubscriber(client, events)
  return client.duplicate === undefined ? undefined : new NodeSubscriber(client, events, false)
}

class NodeSubscriber implements Subscriber {
  readonly #node: IoredisNode | undefined
  readonly #channels = new Set<string>()
  readonly #events: SubscriberEvents
  readonly #sharded: boolean
  #isReady = false

  constructor(node: IoredisNode, events: SubscriberEvents, sharded: boolean) {
    this.#events = events
    this.#sharded = sharded
    // No offline queue: channels are subscribed here, each time that the connection is ready.
    this.#node = node.duplicate?.({
      lazyConnect: false,
      enableOfflineQueue: false,
      autoResubscribe: false,
      keyPrefix: '',
    })
    const duplicate = this.#node
    if (duplicate === undefined) return
    duplicate.on('error', () => {})
    duplicate.on('ready', () => {
      this.#isReady = true
      for (const channel of this.#channels) this.#send(channel)
    })
    duplicate.on('close', () => {
      this.#isReady = false
      events.lost([...this.#channels])
    })
    duplicate.on(sharded ? 'smessage' : 'message', (_channel: unknown, message: unknown) =>
      events.message(String(message)),
    )
  }

  subscribe(channel: string): void {
    this.#channels.add(channel)
    if (this.#isReady) this.#send(channel)
  }

  unsubscribe(channel: string): void {
    this.#channels.delete(channel)
    if (!this.#isReady) return
    const unsubscribed = this.#sharded ? this.#node?.sunsubscribe?.(channel) : this.#node?.unsubscribe?.(channel)
    unsubscribed?.catch(() => {})
  }

  close(): void {
    this.#channels.clear()
    this.#node?.disconnect()
  }

  #send(channel: string): void {
    const subscribing = this.#sharded ? this.#node?.ssubscribe?.(channel) : this.#node?.subscribe?.(channel)
    subscribing?.then(
      () => {
        if (this.#isReady && this.#channels.has(channel)) this.#events.subscribed([channel])
      },
      () => {},
    )
  }
}

/** Each channel at the node of its slot. A channel whose slot moves is subscribed again at its new node. */
class ClusterSubscriber implements Subscriber {
  readonly #cluster: IoredisCluster
  readonly #events: SubscriberEvents
  readonly #nodes = new Map<string, NodeSubscriber>()
  /** The node of each channel. */
  readonly #places = new Map<string, string>()
  readonly #timer: NodeJS.Timeout

  constructor(cluster: IoredisCluster, events: SubscriberEvents) {
    this.#cluster = cluster
    this.#events = events
    this.#timer = setInterval(() => this.#follow(), PAUSE)
    this.#timer.unref()
  }

  subscribe(channel: string): void {
    const address = this.#cluster.slots[calculateSlot(channel)]?.[0] ?? ''
    this.#places.set(channel, address)
    this.#at(address)?.subscribe(channel)
  }

  unsubscribe(channel: string): void {
    const address = this.#places.get(channel)
    this.#places.delete(channel)
    if (address !== undefined) this.#nodes.get(address)?.unsubscribe(channel)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const node of this.#nodes.values()) node.close()
    this.#nodes.clear()
  }

  #at(address: string): NodeSubscriber | undefined {
    const known = this.#nodes.get(address)
    if (known !== undefined) return known
    const node = this.#cluster.nodes('master').find(({ options: { host, port } }) => `${host}:${port}` === address)
    if (node === undefined) return undefined
    const made = new NodeSubscriber(node, this.#events, true)
    this.#nodes.set(address, made)
    return made
  }

  /** Moves the channels whose slots have moved. */
  #follow(): void {
    for (const [channel, address] of this.#places) {
      const now = this.#cluster.slots[calculateSlot(channel)]?.[0] ?? ''
      if (now === address && this.#nodes.has(address)) continue
      this.#nodes.get(address)?.unsubscribe(channel)
      this.#events.lost([channel])
      this.subscribe(channel)
    }
  }
}
