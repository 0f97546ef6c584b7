/** A node of a cluster that loads its data for long: its connections are left, for another server may have taken over; those to the others stay. */
import calculateSlot from 'cluster-key-slot'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { CLUSTER_CLIENTS } from '../support/redis/clients.ts'
import { type ClusterNode, startCluster } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

/** The connections on which checks were asked last. */
async function asking({ server }: ClusterNode): Promise<string[]> {
  const lines = String(await server.command('CLIENT', 'LIST')).split('\n')
  return lines.filter((line) => /\bcmd=eval/.test(line)).map((line) => /\bid=(\d+)/.exec(line)?.[1] ?? '')
}

test('every client leaves its connection to that node alone, and no check fails that can wait', async () => {
  const args = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024']
  const cluster = await startCluster({ replicas: 0, args })
  onTestFinished(() => cluster.stop())
  const loading = await cluster.ownerOf(calculateSlot('{a}'))
  const other = await cluster.ownerOf(calculateSlot('{b}'))
  expect(other).not.toBe(loading)
  const provided = await Promise.all(CLUSTER_CLIENTS.map(({ connect }) => connect([...cluster.addresses])))
  onTestFinished(() => {
    for (const { close } of provided) close()
  })
  const url = `redis+cluster://${cluster.addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`
  const stores = [...provided.map(({ client }) => ({ client })), { url }].map(
    (source) => new RedisStore({ ...source, timeout: 30_000, prefix: uniquePrefix() }),
  )
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()))
  })
  const throttles = stores.map(
    (store) => new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1000) }),
  )
  const ask = async (key: string): Promise<unknown[]> => {
    const outcomes = await Promise.allSettled(throttles.map((throttle) => throttle.check(key)))
    return outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.remaining : outcome.reason))
  }
  await Promise.all([ask('a'), ask('b')])
  // Until checks are the last that each connection was asked, and no longer what stores ask of their servers when these have first decided.
  let checks = 1
  let before: string[][] = []
  await until('all stores to have asked both nodes', async () => {
    await Promise.all([ask('a'), ask('b')])
    checks++
    before = await Promise.all([asking(loading), asking(other)])
    return before.every((ids) => ids.length === stores.length)
  })

  await loading.server.command('DEBUG', 'POPULATE', 300, 'filler', 1000)
  await loading.server.command('CONFIG', 'SET', 'key-load-delay', 10_000)
  const loaded = loading.server.command('DEBUG', 'RELOAD').catch(() => {})
  await until('it to load', async () => (await loading.server.information('persistence')).includes('loading:1'))
  expect(await ask('a')).toEqual(stores.map(() => 1000 - checks - 1))
  await loaded
  await ask('b')
  const after = await Promise.all([asking(loading), asking(other)])
  expect(before[0]?.filter((id) => after[0]?.includes(id))).toEqual([])
  expect(before[1]?.filter((id) => after[1]?.includes(id))).toEqual(before[1])
})
