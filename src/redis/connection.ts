/** What the store needs of a Redis client, whichever it is. */
import type { Cluster, Redis } from 'ioredis'

export interface RedisConnection {
  /** Sends one command; texts in the reply are Buffers. */
  send(name: string, args: readonly (string | Buffer)[]): Promise<unknown>
  /** Resolves when an attempt to connect that is under way has ended, either way; `undefined` when none is. */
  opening(): Promise<void> | undefined
  /** True for a client of a cluster: keys of one call must share a slot. */
  readonly cluster: boolean
  /** The node that answers for a slot; any text that tells nodes apart. */
  nodeOf(slot: number): string
  /** What the client puts before every key by itself, but not before what SCAN matches. */
  readonly keyPrefix: string
  /** Every server that holds keys of its own: all masters of a cluster. */
  masters(): readonly Pick<RedisConnection, 'send'>[]
}

/** An ioredis client, of version 5 or 6. */
export class IoredisConnection implements RedisConnection {
  readonly cluster: boolean
  readonly #client: Redis | Cluster
  readonly #own: boolean
  readonly #patient: boolean
  #opening: Promise<void> | undefined
  /** What a client of our own said last when it had no connection. */
  #failure: unknown

  /**
   * @param own true for a client that the store made: nobody else listens for its errors
   * @param patient true where a lost connection is waited for, as long as the client tries to get it back
   */
  constructor(client: Redis | Cluster, own: boolean, patient: boolean) {
    this.#client = client
    this.#patient = patient
    this.#own = own
    this.cluster = client.isCluster
    if (own) this.#listen()
  }

  get keyPrefix(): string {
    return this.#client.options.keyPrefix ?? ''
  }

  send(name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (this.#own && this.#client.status !== 'ready') {
      return Promise.reject(this.#failure ?? new Error('the connection is closed'))
    }
    return send(this.#client, name, args)
  }

  opening(): Promise<void> | undefined {
    const { status } = this.#client
    if (status === 'ready') return undefined
    if (status === 'wait') this.#client.connect().catch(() => {})
    else if (status === 'end' || (!this.#patient && status !== 'connecting' && status !== 'connect')) return undefined
    this.#opening ??= this.#ended()
    return this.#opening
  }

  nodeOf(slot: number): string {
    if (!('slots' in this.#client)) return ''
    const { slots } = this.#client
    return slots[slot]?.[0] ?? ''
  }

  masters(): readonly Pick<RedisConnection, 'send'>[] {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : [this.#client]
    return nodes.map((node) => ({ send: (name, args) => send(node, name, args) }))
  }

  #ended(): Promise<void> {
    return new Promise((resolve) => {
      const events = ['ready', 'close', 'end']
      const end = (): void => {
        for (const event of events) this.#client.off(event, end)
        this.#opening = undefined
        resolve()
      }
      for (const event of events) this.#client.on(event, end)
    })
  }

  #listen(): void {
    const client = this.#client
    client.on('ready', () => {
      this.#failure = undefined
    })
    // Without a listener, ioredis would print each failure.
    client.on('error', (error) => {
      if (!this.cluster) this.#failure = withoutCommand(error)
    })
    // A cluster says no more than that all nodes failed; why is told of each.
    client.on('node error', (error: Error, node: string) => {
      this.#failure = new Error(`${node}: ${error.message}`, { cause: withoutCommand(error) })
    })
  }
}

function send(client: Redis | Cluster, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  return client.options.enableAutoPipelining === true ? sendAlone(client, name, args) : client.callBuffer(name, ...args)
}

/**
 * A client that pipelines by itself loses the first argument of `call`, and on a cluster takes the script for the key; in a
 * pipeline of its own the command goes as it is.
 */
async function sendAlone(client: Redis | Cluster, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  const [outcome] =
    (await client
      .pipeline()
      .callBuffer(name, ...args)
      .exec()) ?? []
  const [error, reply] = outcome ?? [new Error('the pipeline was not run')]
  if (error) throw error
  return reply
}

/** ioredis notes on an error the whole command that failed: the password of a login, the keys and the source of a script. */
export function withoutCommand(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}
