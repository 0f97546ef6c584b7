/** The servers of a storm: one behind proxies, a cluster, or a master behind sentinels; and what can go wrong there. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisCluster, startCluster } from '../../test/support/servers/cluster.ts'
import { type FaultProxy, startProxy } from '../../test/support/servers/proxy.ts'
import { type RedisServer, startRedis, untilInStep } from '../../test/support/servers/redis.ts'
import { type SentinelGroup, startSentinels } from '../../test/support/servers/sentinel.ts'
import { until } from '../../test/support/servers/until.ts'

/** A fault of the servers or of the network. */
export interface Fault {
  readonly name: string
  /** True if writes may be lost: more units than there are may then be held for at most a third of a lease. */
  readonly losesWrites?: boolean
  /** How long no other fault comes after this one, in ms. Default 0. */
  readonly rest?: number
  /** Resolves when the fault is over. */
  happen(): Promise<void>
}

export interface World extends AsyncDisposable {
  /** All servers that may hold data. */
  readonly servers: readonly RedisServer[]
  /** The URLs of stores, without parameters; the processes take turns. */
  readonly urls: readonly string[]
  readonly faults: readonly Fault[]
  /** Deletes all data. */
  flush(): Promise<void>
}

/** One server, without faults of the network. */
export function worldOf(server: RedisServer): World {
  return {
    servers: [server],
    urls: [server.url],
    faults: [],
    flush: () => flush([server]),
    [Symbol.asyncDispose]: async () => {},
  }
}

export const WORLDS = { single, cluster, sentinel } satisfies Record<string, () => Promise<World>>

async function single(): Promise<World> {
  const server = await startRedis()
  const proxies = [await startProxy(server), await startProxy(server)]
  const { flush: flushAll } = worldOf(server)
  return {
    servers: [server],
    urls: proxies.map(({ port }) => `redis://127.0.0.1:${port}/0`),
    faults: [
      networkFault('connections reset', proxies, (faults) => faults.resetAll()),
      networkFault('replies lost', proxies, (faults) => faults.dropReplies({ times: 1, reset: true })),
      networkFault('replies late', proxies, (faults) => faults.latency(50)),
      networkFault('black hole', proxies, (faults) => faults.blackHole()),
    ],
    flush: flushAll,
    [Symbol.asyncDispose]: async () => {
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]()
      await server.stop()
    },
  }
}

function networkFault(
  name: string,
  proxies: readonly FaultProxy[],
  begin: (faults: FaultProxy['faults']) => void,
): Fault {
  return {
    name,
    happen: async () => {
      const proxy = proxies[Math.floor(Math.random() * proxies.length)]
      if (proxy === undefined) return
      begin(proxy.faults)
      await sleep(Math.random() * 2500)
      proxy.faults.pass()
    },
  }
}

async function cluster(): Promise<World> {
  const nodes = await startCluster({ masters: 3, replicas: 1 })
  const servers = nodes.nodes.map(({ server }) => server)
  return {
    servers,
    urls: [`redis+cluster://${nodes.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}/0`],
    faults: [
      { name: 'master killed', losesWrites: true, happen: () => killMaster(nodes) },
      { name: 'replica promoted', happen: () => promote(nodes) },
    ],
    flush: async () => flush((await nodes.masters()).map(({ server }) => server)),
    [Symbol.asyncDispose]: () => nodes.stop(),
  }
}

async function killMaster(nodes: RedisCluster): Promise<void> {
  const masters = await nodes.masters()
  const master = masters[Math.floor(Math.random() * masters.length)]
  if (master === undefined || (await nodes.replicaOf(master)) === undefined) return
  await nodes.failover(master)
  // It comes back as a replica of the one that took its place.
  await master.server.restart()
  await untilInStep([master.server])
}

/** By agreement with the master, so that no write is lost. */
async function promote(nodes: RedisCluster): Promise<void> {
  const masters = await nodes.masters()
  const master = masters[Math.floor(Math.random() * masters.length)]
  const replica = master && (await nodes.replicaOf(master))
  await replica?.server.command('CLUSTER', 'FAILOVER')
  await sleep(500)
}

async function sentinel(): Promise<World> {
  const group = await startSentinels({ replicas: 2 })
  const sentinels = group.sentinelPorts.map((port) => `127.0.0.1:${port}`).join(',')
  return {
    servers: group.servers,
    urls: [`redis+sentinel://${sentinels}/${group.masterName}/0`],
    // A sentinel does not begin a failover within 6 s of an earlier attempt.
    faults: [{ name: 'master killed', losesWrites: true, rest: 7000, happen: () => killSentinelMaster(group) }],
    flush: async () => flush([await group.currentMaster()]),
    [Symbol.asyncDispose]: () => group.stop(),
  }
}

async function killSentinelMaster(group: SentinelGroup): Promise<void> {
  const master = await group.currentMaster()
  // On a busy machine the first election may fail.
  await group.killMaster().catch(() => until('another master', async () => (await group.currentMaster()) !== master))
  await master.restart()
  // The sentinels make it a replica; until then another death would leave them too few.
  await untilInStep([master])
}

async function flush(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.command('FLUSHALL')))
}
