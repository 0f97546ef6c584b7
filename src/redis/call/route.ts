/** The destination of a batch: as much of its queue as a call needs to know. */

export interface Route {
  /** Unique among the queues of a store. If a slot moves to another node, the new queue keeps the id of the queue that it replaces. */
  readonly id: number
  /** A hash tag of the slot. '': a single server. */
  readonly tag: string
  readonly node: NodeState
  /** True if calls may hold keys of all slots of the node. They then go to this node and no other. */
  readonly acrossSlots: boolean
}

export interface NodeState {
  /** The client's name for the node. '': a single server. */
  readonly address: string
  /** Since when calls are in flight without any reply, in ms of `performance.now`. `undefined`: none is in flight, or one has just returned. */
  silentSince: number | undefined
  /** Of the keys in flight, those of calls that have returned, whose callers are being told. */
  keysReturning: number
  /** The keys of all calls whose callers are being told, or have just been and go on. */
  keysAnswered: number
  /** True once the server has refused MSETEX. */
  lacksMsetex: boolean
}
