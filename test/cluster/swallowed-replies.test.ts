/** A reply from one node of a cluster is lost while the connection goes on: no check gets the answer of another. */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { GcraLimiter, Quota, RedisStore, type RedisStoreOptions, StoreError, Throttle } from 'onrush'
import { createCluster } from 'redis'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type RedisCluster, startCluster } from '../support/servers/cluster.ts'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

let cluster: RedisCluster

beforeAll(async () => {
  cluster = await startCluster({ replicas: 0 })
})

afterAll(async () => {
  await cluster?.stop()
})

interface Address {
  readonly host: string
  readonly port: number
}

/** All keys are put under this hash tag, so that one node decides all checks. */
const TAG = 'one node'

/** A proxy before each node, and where the proxy of each address is. */
async function proxies(): Promise<{ readonly addresses: Record<string, Address>; readonly ofNode: FaultProxy }> {
  const owner = await cluster.ownerOf(calculateSlot(TAG))
  const addresses: Record<string, Address> = {}
  let ofNode: FaultProxy | undefined
  for (const { id, server } of cluster.nodes) {
    const proxy = await startProxy(server)
    onTestFinished(() => proxy.stop())
    addresses[`127.0.0.1:${server.port}`] = { host: '127.0.0.1', port: proxy.port }
    if (id === owner.id) ofNode = proxy
  }
  if (ofNode === undefined) throw new Error('the owner of the slot is none of the nodes')
  return { addresses, ofNode }
}

type Source = Pick<Extract<RedisStoreOptions, { readonly client: unknown }>, 'client'>

const CLIENTS: readonly { name: string; open: (natMap: Record<string, Address>) => Promise<Source> }[] = [
  ...[
    { name: 'ioredis 6', Client: Cluster },
    { name: 'ioredis 5', Client: Cluster5 },
    { name: 'iovalkey', Client: ValkeyCluster },
  ].map(({ name, Client }) => ({
    name,
    async open(natMap: Record<string, Address>) {
      const client = new Client(Object.values(natMap), { natMap })
      onTestFinished(() => client.disconnect())
      return { client }
    },
  })),
  {
    name: 'node-redis 6',
    async open(natMap) {
      // Copies, because the client writes into the objects that it is given that it does not reconnect.
      const rootNodes = Object.values(natMap).map((socket) => ({ socket: { ...socket } }))
      const client = createCluster({
        rootNodes,
        nodeAddressMap: (address) => natMap[address] && { ...natMap[address] },
      })
      client.on('error', () => {})
      await client.connect()
      onTestFinished(() => client.destroy())
      return { client }
    },
  },
]

/** Some checks fail because of the lost reply. None may get a wrong answer. */
async function unlessFailed(outcome: Promise<unknown>): Promise<void> {
  await outcome.catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error
  })
}

test.each(CLIENTS)('$name: no check is told what another was, and the connection is replaced', async ({ open }) => {
  const { addresses, ofNode } = await proxies()
  const source = await open(addresses)
  const store = new RedisStore({ ...source, prefix: uniquePrefix(), timeout: 2000, hashTag: () => TAG })
  const limiter = new GcraLimiter({ store })
  const empty = new Throttle({ limiter, rate: Quota.perDay(1, { name: 'used-up' }) })
  const full = new Throttle({ limiter, rate: Quota.perDay(100_000) })
  await empty.check('key')
  await full.check('warm')
  // By then the servers have answered all that the store asks for by itself after its first check.
  await store.ping()
  for (let time = 0; time < 3; time++) {
    ofNode.faults.swallowReplies()
    full.check('lost').catch(() => {})
    await sleep(100)
    const asked: Promise<unknown>[] = []
    // Each in a call of its own, so that a check of the used-up key could get the answer of a fresh key.
    for (let round = 0; round < 5; round++) {
      for (const outcome of [
        () => empty.check('key').then(({ limited }) => expect(limited).toBe(true)),
        () => full.check(`other ${round}`).then(({ limited }) => expect(limited).toBe(false)),
        () => full.peek('fresh').then(({ remaining }) => expect(remaining).toBe(100_000)),
        () => store.get('none').then((found) => expect(found).toBeUndefined()),
      ]) {
        asked.push(unlessFailed(outcome()))
        await setImmediate()
      }
    }
    await Promise.all(asked)
    await until(
      'the connection to be replaced',
      async () => (await full.check('after').catch(() => undefined)) !== undefined,
    )
    // A connection that was replaced a moment ago is not replaced again.
    await sleep(1000)
  }
})
