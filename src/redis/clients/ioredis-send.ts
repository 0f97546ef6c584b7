/** Sends commands by ioredis 5 and 6 and iovalkey, whose replies are promises. */
import type { IoredisClient, IoredisCluster, IoredisNode } from './ioredis-shape.ts'

export function send(client: IoredisClient, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  if (client.options.enableAutoPipelining === true) return sendAlone(client, name, args)
  // Lower case, because ioredis would otherwise convert the name several times per call.
  return client.callBuffer(name === 'EVALSHA' ? 'evalsha' : name, ...args)
}

/**
 * Sends a command in a pipeline of its own. With `enableAutoPipelining`, ioredis would lose the first argument of `call`, and in a cluster
 * would take the script for the key.
 */
async function sendAlone(client: IoredisClient, name: string, args: readonly (string | Buffer)[]): Promise<unknown> {
  const [outcome] =
    (await client
      .pipeline()
      .callBuffer(name, ...args)
      .exec()) ?? []
  const [error, reply] = outcome ?? [new Error('the pipeline was not run')]
  if (!error) return reply
  // Refreshing reconnects to the node named by ASK, because a pipeline itself does not reconnect to a lost node.
  if ('slots' in client && error.message.startsWith('ASK ')) client.refreshSlotsCache(() => {})
  throw error
}

/** Refreshes the slot table first, because a master may have been added. If no node answers, the known masters are used. */
export async function mastersOf(cluster: IoredisCluster): Promise<readonly IoredisNode[]> {
  await new Promise<void>((resolve) => cluster.refreshSlotsCache(() => resolve()))
  return cluster.nodes('master')
}
