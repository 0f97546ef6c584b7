/** Where a batch goes: all that its call needs to know of the queue which gathered it. */

export interface Route {
  /** Tells the queue apart from the store's others; a queue that replaces one whose slot has moved to another node has the same. */
  readonly id: number
  /** A hash tag of its slot; empty on a single server. */
  readonly tag: string
  readonly node: NodeState
}

export interface NodeState {
  /** As the client names the node; empty for a single server. */
  readonly address: string
  /** Since when calls are in flight and none has returned, in ms of `performance.now`. */
  silentSince: number | undefined
}
