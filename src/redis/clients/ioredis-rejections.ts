/**
 * Commands that an ioredis client sends by itself and whose promises it drops. When the connection is lost before the reply,
 * such a promise rejects, nobody handles the rejection, and Node ends the process. So the rejection is handled here.
 */
import { ConnectionEvents } from './connection-events.ts'
import type { IoredisClient, IoredisNode } from './ioredis-shape.ts'

/** Sent to a node before what another node has redirected there by ASK. Users do not call it. */
const BEFORE_ASKED = 'asking'

/** What a client restores after it has reconnected: a database that was selected, and subscriptions. Users call these as well. */
const RESTORING = ['select', 'subscribe', 'psubscribe', 'ssubscribe']

const handled = new WeakSet<IoredisNode>()

/** Once for each client, whichever stores are on it. */
export function handleDroppedRejections(client: IoredisClient): void {
  if (handled.has(client)) return
  handled.add(client)
  if ('slots' in client) {
    for (const node of client.nodes()) handleOnNode(node)
    client.on('+node', handleOnNode)
  } else handleOnReconnecting(client)
}

function handleOnNode(node: IoredisNode): void {
  if (handled.has(node)) return
  handled.add(node)
  handleRejectionsOf(node, BEFORE_ASKED, () => true)
}

function handleOnReconnecting(client: IoredisNode): void {
  // The client restores at the moment it is ready, before it says so. What is called at another time is the user's.
  let announced = client.status === 'ready'
  const events = ConnectionEvents.of(client)
  events.on('close', () => {
    announced = false
  })
  events.on('ready', () => {
    announced = true
  })
  const restores = (): boolean => client.status === 'ready' && !announced
  for (const name of RESTORING) handleRejectionsOf(client, name, restores)
}

function handleRejectionsOf(client: IoredisNode, name: string, isDropped: () => boolean): void {
  const command: unknown = Reflect.get(client, name)
  if (typeof command !== 'function') return
  Reflect.set(client, name, (...args: unknown[]): unknown => {
    const reply: unknown = Reflect.apply(command, client, args)
    if (isDropped()) Promise.resolve(reply).catch(() => {})
    return reply
  })
}
