/** Makes ioredis clients for contestants. Each contestant has its own connection, as in an application. */
import { Cluster, Redis } from 'ioredis'
import type { Setting } from '../harness/contestant.ts'

/** Resolves when the client is ready. */
export async function connect(
  { ports, database }: Pick<Setting, 'ports' | 'database'>,
  { enableAutoPipelining = false } = {},
): Promise<Redis | Cluster> {
  const [node, ...others] = ports.map((port) => ({ host: '127.0.0.1', port }))
  if (node === undefined) throw new RangeError('ports must hold one port or more')
  const client =
    others.length === 0
      ? new Redis({ ...node, db: database, enableAutoPipelining, autoResendUnfulfilledCommands: false })
      : new Cluster([node, ...others], { enableAutoPipelining })
  await client.ping()
  return client
}

export async function disconnect(client: Redis | Cluster): Promise<void> {
  await client.quit()
}
