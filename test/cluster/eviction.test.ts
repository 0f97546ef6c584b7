/** The nodes of a cluster may have different eviction policies: there is a warning for each node that may evict keys which still count. */
import { Cluster } from 'ioredis'
import { RedisStore, type RedisStoreOptions, Throttle } from 'onrush'
import { createCluster } from 'redis'
import { expect, onTestFinished, test } from 'vitest'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const POLICIES = ['volatile-ttl', 'noeviction', 'allkeys-random']

type Given = { readonly url: string } | Pick<Extract<RedisStoreOptions, { readonly client: unknown }>, 'client'>

async function clusterOf(policies: readonly string[]): Promise<RedisCluster> {
  const cluster = await startCluster({ replicas: 0 })
  onTestFinished(() => cluster.stop())
  for (const [index, { server }] of cluster.nodes.entries()) {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', policies[index] ?? 'noeviction')
  }
  return cluster
}

function warnings(): string[] {
  const heard: string[] = []
  const onWarning = (warning: Error): void => {
    if ('code' in warning && warning.code === 'ONRUSH_EVICTION') heard.push(warning.message)
  }
  process.on('warning', onWarning)
  onTestFinished(() => {
    process.off('warning', onWarning)
  })
  return heard
}

const CLIENTS: readonly { name: string; open: (cluster: RedisCluster) => Promise<Given> }[] = [
  {
    name: 'the store’s own client',
    open: async ({ addresses }) => ({ url: `redis+cluster://${addresses.map(({ port }) => `127.0.0.1:${port}`)}` }),
  },
  {
    name: 'a client of node-redis',
    async open({ addresses }) {
      const client = createCluster({ rootNodes: addresses.map((socket) => ({ socket })) })
      client.on('error', () => {})
      await client.connect()
      onTestFinished(() => client.destroy())
      return { client }
    },
  },
]

test.each(CLIENTS)('by $name every primary is asked, once for all stores', async ({ open }) => {
  const cluster = await clusterOf(POLICIES)
  const heard = warnings()
  for (let count = 0; count < 2; count++) {
    const store = new RedisStore({ ...(await open(cluster)), prefix: uniquePrefix(), timeout: 20_000 })
    onTestFinished(() => store.close())
    await new Throttle({ store, rate: '100/minute' }).check('key')
    await until('both policies to be named', async () => heard.length >= 2)
  }
  expect(heard.map((message) => /maxmemory-policy ([a-z-]+)/.exec(message)?.[1]).sort()).toEqual([
    'allkeys-random',
    'volatile-ttl',
  ])
})

test('a primary that hangs keeps nothing from the others', async () => {
  const cluster = await clusterOf(['volatile-lru', 'volatile-lru', 'volatile-lru'])
  const heard = warnings()
  const [hung, ...others] = cluster.nodes
  const slots = await Promise.all(others.map((node) => cluster.slotsOf(node)))
  const client = new Cluster(cluster.addresses, { enableReadyCheck: false })
  onTestFinished(() => client.disconnect())
  await Promise.all(client.nodes('master').map((node) => node.ping()))
  const key = await keyIn(client, slots.flat())
  const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 })
  hung?.server.pause()
  onTestFinished(() => hung?.server.resume())
  await new Throttle({ store, rate: '100/minute' }).check(key)
  await until('the others to be named', async () => heard.length === 2)
})

async function keyIn(client: Cluster, slots: readonly (readonly [number, number])[]): Promise<string> {
  for (let index = 0; ; index++) {
    const slot = Number(await client.cluster('KEYSLOT', `key ${index}`))
    if (slots.some(([first, last]) => first <= slot && slot <= last)) return `key ${index}`
  }
}
