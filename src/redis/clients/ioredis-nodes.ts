/** The clients of a cluster's nodes by the names in ioredis's slot table. One instance serves all stores on the client. */
import type { IoredisCluster, IoredisNode } from './ioredis-shape.ts'

export class IoredisNodes {
  static readonly #known = new WeakMap<IoredisCluster, IoredisNodes>()
  readonly #cluster: IoredisCluster
  /** `undefined`: a node has come or gone since. */
  #byName: Map<string, IoredisNode> | undefined

  /** The one instance for a client. */
  static of(cluster: IoredisCluster): IoredisNodes {
    const known = IoredisNodes.#known.get(cluster) ?? new IoredisNodes(cluster)
    IoredisNodes.#known.set(cluster, known)
    return known
  }

  private constructor(cluster: IoredisCluster) {
    this.#cluster = cluster
    const changed = (): void => {
      this.#byName = undefined
    }
    cluster.on('+node', changed)
    cluster.on('-node', changed)
  }

  /** The client of a node that may be sent commands now. `undefined`: the cluster's client has to find a node. */
  ready(name: string): IoredisNode | undefined {
    this.#byName ??= new Map(this.#cluster.nodes().map((node) => [nameOf(node), node]))
    const node = this.#byName.get(name)
    return node?.status === 'ready' ? node : undefined
  }
}

/** The node's name in ioredis's slot table. */
export function nameOf({ options: { host, port } }: IoredisNode): string {
  return `${host}:${port}`
}
