/** A failover to a replica that has fallen behind loses only the checks that were admitted meanwhile. */
import type { Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { errorSaying } from '../support/error-saying.ts'
import { openStore, throttleOn } from '../support/faults/suite.ts'
import { startProxy } from '../support/servers/proxy.ts'
import { type RedisServer, startRedis, untilInStep } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const LIMIT = 100

/** How many of so many checks were admitted. */
async function admitted(throttle: Throttle, key: string, checks: number): Promise<number> {
  const results = await Promise.all(Array.from({ length: checks }, () => throttle.check(key)))
  return results.filter(({ limited }) => !limited).length
}

/** How much of the stream of writes a server has seen. */
async function offset(server: RedisServer): Promise<string | undefined> {
  return /master_repl_offset:(\d+)/.exec(await server.information('replication'))?.[1]
}

test.each([
  { before: 60, behind: 30, excess: 30 },
  { before: 60, behind: 1000, excess: 40 },
  { before: 0, behind: 1000, excess: LIMIT },
])(
  '$before checks, then $behind, $excess in excess: what the master admitted after the replica fell behind is admitted once more',
  async ({ before, behind, excess }) => {
    await using master = await startRedis()
    await using link = await startProxy(master)
    await using replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(link.port)] })
    const prefix = uniquePrefix()
    const onMaster = openStore(master.port, { prefix })
    let total = await admitted(throttleOn(onMaster, LIMIT), 'key', before)
    await untilInStep([replica])
    await until('the replica to have it all', async () => (await offset(master)) === (await offset(replica)))
    link.faults.blackHole()
    total += await admitted(throttleOn(onMaster, LIMIT), 'key', behind)
    await onMaster.close()
    await master.kill()
    await replica.command('REPLICAOF', 'NO', 'ONE')
    const onReplica = openStore(replica.port, { prefix })
    total += await admitted(throttleOn(onReplica, LIMIT), 'key', 2 * LIMIT)
    await onReplica.close()
    expect(total).toBe(LIMIT + excess)
  },
)

test('with min-replicas-to-write, what a failover would lose is refused and not counted', async () => {
  await using master = await startRedis({ args: ['--min-replicas-to-write', '1'] })
  const store = openStore(master.port)
  const throttle = throttleOn(store, LIMIT)
  const error = errorSaying('StoreUnavailableError', 'NOREPLICAS')
  await expect(throttle.check('key')).rejects.toThrow(error)
  await master.command('CONFIG', 'SET', 'min-replicas-to-write', 0)
  expect(await throttle.peek('key')).toMatchObject({ remaining: LIMIT })
  await store.close()
})
