import { Cluster } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClusterNode, type RedisCluster, startCluster } from './cluster.ts'

describe('startCluster', () => {
  let cluster: RedisCluster
  let client: Cluster

  beforeAll(async () => {
    cluster = await startCluster()
    client = new Cluster(cluster.addresses)
  })

  afterAll(async () => {
    client?.disconnect()
    await cluster?.stop()
  })

  /** Two keys of one slot, that slot, its owner and another master. */
  async function twoKeys(tag: string) {
    const keys = [`{${tag}}1`, `{${tag}}2`] as const
    for (const key of keys) await client.set(key, key)
    const slot = Number(await client.call('CLUSTER', 'KEYSLOT', keys[0]))
    const owner = await cluster.ownerOf(slot)
    const other = (await cluster.masters()).find((master) => master !== owner)
    if (other === undefined) throw new Error('There is one master only')
    return { keys, slot, owner, other }
  }

  it('makes three masters with a replica each, which share all slots', async () => {
    const masters = await cluster.masters()
    expect(masters).toHaveLength(3)
    const replicas = await Promise.all(masters.map((master) => cluster.replicaOf(master)))
    expect(new Set([...masters, ...replicas])).toEqual(new Set(cluster.nodes))
    const ranges = (await Promise.all(masters.map((master) => cluster.slotsOf(master)))).flat()
    expect(ranges).toEqual([
      [0, 5460],
      [5461, 10_922],
      [10_923, 16_383],
    ])
  })

  it('leaves a slot half moved, where nodes answer ASK and TRYAGAIN, and completes it', async () => {
    const { keys, slot, owner, other } = await twoKeys('half')
    await cluster.migrateSlot(slot, owner, other, { half: true })
    await expect(owner.server.command('GET', keys[0])).rejects.toThrow(`ASK ${slot} 127.0.0.1:${other.server.port}`)
    await expect(owner.server.command('GET', keys[1])).resolves.toBe(keys[1])
    await expect(owner.server.command('MGET', ...keys)).rejects.toThrow('TRYAGAIN')
    await cluster.migrateSlot(slot, owner, other)
    expect(await cluster.ownerOf(slot)).toBe(other)
    await expect(other.server.command('MGET', ...keys)).resolves.toEqual(keys)
    await expect(owner.server.command('GET', keys[0])).rejects.toThrow('MOVED')
  })

  it('takes in a new node, which can be given slots', async () => {
    const node = await cluster.addNode()
    expect(await cluster.slotsOf(node)).toEqual([])
    const { keys, slot, owner } = await twoKeys('new')
    await cluster.migrateSlot(slot, owner, node)
    await expect(client.mget(...keys)).resolves.toEqual(keys)
    expect(await cluster.slotsOf(node)).toEqual([[slot, slot]])
  })

  it('replaces a master that was killed by its replica, and takes it back as a replica', async () => {
    const { keys, slot, owner } = await twoKeys('failover')
    const replica = await cluster.replicaOf(owner)
    await client.wait(1, 1000)
    const promoted: ClusterNode = await cluster.failover(owner)
    expect(promoted).toBe(replica)
    expect(await cluster.ownerOf(slot)).toBe(promoted)
    await expect(promoted.server.command('GET', keys[0])).resolves.toBe(keys[0])
    await owner.server.restart()
    await cluster.agreement()
    expect(await cluster.replicaOf(promoted)).toBe(owner)
  })
})
