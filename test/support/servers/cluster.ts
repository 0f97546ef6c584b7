/** A real Redis cluster on 127.0.0.1: slots can be moved, nodes added, masters killed. */
import { type RedisServer, startRedis, untilInStep } from './redis.ts'
import { until, untilEach } from './until.ts'

const SLOTS = 16_384

export interface ClusterOptions {
  /** Default 3: fewer cannot elect a new master when one dies. */
  readonly masters?: number
  /** Replicas of each master. Default 1. */
  readonly replicas?: number
  /** More of each node's command line. */
  readonly args?: readonly string[]
}

export interface ClusterNode {
  readonly id: string
  readonly server: RedisServer
}

/** The view that one node has of another. */
interface Entry {
  readonly id: string
  readonly isMaster: boolean
  /** Of which node it is a replica; `-` for a master. */
  readonly masterId: string
  /** First and last slot of each range. */
  readonly slots: readonly (readonly [number, number])[]
}

/** Starts the nodes and makes them a cluster; resolves when all nodes agree on it and every replica is in step. */
export async function startCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, replicas = 1, args = [] } = options
  const nodes = await Promise.all(Array.from({ length: masters * (1 + replicas) }, () => startNode(args)))
  const cluster = new RedisCluster(nodes, args)
  try {
    await assignSlots(nodes.slice(0, masters))
    await introduce(nodes)
    await cluster.agreement(nodes.length)
    const pairs = nodes.slice(masters).map((replica, index) => [replica, nodes[index % masters]] as const)
    await Promise.all(
      pairs.map(([replica, master]) => replica.server.command('CLUSTER', 'REPLICATE', master?.id ?? '')),
    )
    await untilInStep(pairs.map(([replica]) => replica.server))
    await untilEach('every node to serve', nodes, serves)
    await cluster.agreement(nodes.length)
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

export class RedisCluster implements AsyncDisposable {
  readonly #nodes: ClusterNode[]
  readonly #args: readonly string[]

  constructor(nodes: readonly ClusterNode[], args: readonly string[]) {
    this.#nodes = [...nodes]
    this.#args = args
  }

  /** All nodes, dead ones too: first the masters of the start, then their replicas, then those that were added. */
  get nodes(): readonly ClusterNode[] {
    return this.#nodes
  }

  /** Where a client starts: `new Cluster(cluster.addresses)`. */
  get addresses(): { host: string; port: number }[] {
    return this.#nodes.map(({ server }) => ({ host: '127.0.0.1', port: server.port }))
  }

  /** The living masters, in the order of `nodes`. */
  async masters(): Promise<ClusterNode[]> {
    const entries = await this.#entries()
    return this.#living().filter(({ id }) => entries.some((entry) => entry.id === id && entry.isMaster))
  }

  /** A living replica of this master. */
  async replicaOf(master: ClusterNode): Promise<ClusterNode | undefined> {
    const entries = await this.#entries()
    return this.#living().find(({ id }) => entries.some((entry) => entry.id === id && entry.masterId === master.id))
  }

  /** First and last slot of each range that this node owns. */
  async slotsOf(node: ClusterNode): Promise<readonly (readonly [number, number])[]> {
    return (await this.#entries()).find(({ id }) => id === node.id)?.slots ?? []
  }

  /** The master that owns a slot. */
  async ownerOf(slot: number): Promise<ClusterNode> {
    const owns = ({ slots }: Entry): boolean => slots.some(([first, last]) => first <= slot && slot <= last)
    const entry = (await this.#entries()).find(owns)
    const owner = this.#nodes.find(({ id }) => id === entry?.id)
    if (owner === undefined) throw new Error(`No master owns slot ${slot}`)
    return owner
  }

  /** Resolves when the living nodes, `count` of them, know each other and hold the same view of who owns what. */
  async agreement(count: number = this.#living().length): Promise<void> {
    await until(`${count} nodes to agree`, async () => {
      const views = await Promise.all(this.#living().map((node) => this.#entries(node)))
      const texts = new Set(views.map((view) => JSON.stringify(view)))
      return texts.size === 1 && views[0]?.length === count
    })
  }

  /**
   * Moves a slot with its keys, as redis-cli does. With `half`, it stops in the middle: the first half of the keys, by name
   * and rounded up, has moved, and the nodes answer ASK and TRYAGAIN. The same call without `half` completes it.
   */
  async migrateSlot(slot: number, from: ClusterNode, to: ClusterNode, { half = false } = {}): Promise<void> {
    await to.server.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await from.server.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    const keys = await keysIn(slot, from)
    const moving = half ? keys.slice(0, Math.ceil(keys.length / 2)) : keys
    if (moving.length > 0) {
      await from.server.command('MIGRATE', '127.0.0.1', to.server.port, '', 0, 5000, 'KEYS', ...moving)
    }
    if (half) return
    await to.server.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    await from.server.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    await this.agreement()
  }

  /** Adds an empty master, known to all; takes two seconds, for so long a master refuses to serve at first. */
  async addNode(): Promise<ClusterNode> {
    const node = await startNode(this.#args)
    const living = this.#living()
    this.#nodes.push(node)
    await Promise.all(living.map((other) => meet(node, other)))
    await this.agreement()
    await until('the new node to serve', () => serves(node))
    return node
  }

  /** Kills a master by SIGKILL; resolves with the replica that took its place when all who live know. */
  async failover(master: ClusterNode): Promise<ClusterNode> {
    const [slot] = (await this.slotsOf(master))[0] ?? []
    if (slot === undefined) throw new Error('A master without slots is not replaced when it dies')
    await master.server.kill()
    await until('a replica to be promoted', async () => (await this.ownerOf(slot)).id !== master.id)
    await this.agreement()
    const promoted = await this.ownerOf(slot)
    await until('the promoted replica to serve', () => serves(promoted))
    return promoted
  }

  async stop(): Promise<void> {
    await Promise.all(this.#nodes.map(({ server }) => server.stop()))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #living(): ClusterNode[] {
    return this.#nodes.filter(({ server }) => server.isRunning)
  }

  /** The view that a node, by default the first living one, has of all living nodes, in the order of their ids. */
  async #entries(node: ClusterNode | undefined = this.#living()[0]): Promise<Entry[]> {
    if (node === undefined) throw new Error('No node of the cluster lives')
    const living = new Set(this.#living().map(({ id }) => id))
    const lines = String(await node.server.command('CLUSTER', 'NODES'))
      .trimEnd()
      .split('\n')
    return lines
      .map(parseEntry)
      .filter(({ id }) => living.has(id))
      .sort((a, b) => a.id.localeCompare(b.id))
  }
}

async function startNode(args: readonly string[]): Promise<ClusterNode> {
  const server = await startRedis({
    args: [
      // A replica of any age may be promoted, and none changes its master by itself.
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1500', '--cluster-require-full-coverage', 'no'],
      ...['--cluster-replica-validity-factor', '0', '--cluster-allow-replica-migration', 'no'],
      ...args,
    ],
  })
  return { id: String(await server.command('CLUSTER', 'MYID')), server }
}

/** Gives each master its share of the slots, and an epoch of its own so that they need not agree on one. */
async function assignSlots(masters: readonly ClusterNode[]): Promise<void> {
  const firstOf = (index: number): number => Math.round((index * SLOTS) / masters.length)
  await Promise.all(
    masters.map(async ({ server }, index) => {
      await server.command('CLUSTER', 'ADDSLOTSRANGE', firstOf(index), firstOf(index + 1) - 1)
      await server.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    }),
  )
}

/** Each to each, which is quicker than waiting for gossip. */
async function introduce(nodes: readonly ClusterNode[]): Promise<void> {
  await Promise.all(nodes.flatMap((node, index) => nodes.slice(0, index).map((other) => meet(node, other))))
}

async function meet(node: ClusterNode, other: ClusterNode): Promise<void> {
  await node.server.command('CLUSTER', 'MEET', '127.0.0.1', other.server.port)
}

async function serves(node: ClusterNode): Promise<boolean> {
  return String(await node.server.command('CLUSTER', 'INFO')).includes('cluster_state:ok')
}

async function keysIn(slot: number, node: ClusterNode): Promise<string[]> {
  const keys = await node.server.command('CLUSTER', 'GETKEYSINSLOT', slot, 1_000_000)
  return Array.isArray(keys) ? keys.map(String).sort() : []
}

/** A line of CLUSTER NODES: id, address, flags, master, ping, pong, epoch, link, then slots; `[` starts one on the move. */
function parseEntry(line: string): Entry {
  const [id = '', , flags = '', masterId = '', , , , , ...slots] = line.split(' ')
  const ranges = slots.filter((text) => !text.startsWith('['))
  return {
    id,
    isMaster: flags.split(',').includes('master'),
    masterId,
    slots: ranges.map((text) => {
      const [first = '', last = first] = text.split('-')
      return [Number(first), Number(last)] as const
    }),
  }
}
