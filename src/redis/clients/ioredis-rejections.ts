/**
 * Handles rejections that ioredis drops. The client sends some commands by itself and ignores their promises. When the connection is lost
 * before the reply, such a promise rejects, and Node ends the process because of an unhandled rejection.
 */
import { ConnectionEvents } from './connection-events.ts'
import type { IoredisClient, IoredisNode } from './ioredis-shape.ts'

/** ASKING, which ioredis sends before a command that was redirected by ASK. Users do not call it. */
const BEFORE_ASKED = 'asking'

/** Commands by which a client restores its database and subscriptions after a reconnect. Users call these too. */
const RESTORING = ['select', 'subscribe', 'psubscribe', 'ssubscribe']

const handled = new WeakSet<IoredisNode>()

/** Does nothing if the client was handled before, because several stores may share a client. */
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
  // The client sends its own commands after its status becomes 'ready' and before it emits 'ready'. At other times the user calls them.
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
