/** A call goes to the client of its node, all calls of a turn by one write; the cluster's client takes over where it would send them on or again. */
import calculateSlot from 'cluster-key-slot'
import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { GcraLimiter, RedisStore, StoreUnavailableError, Throttle } from 'onrush'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { DAY, KEYS, stillCluster } from '../support/cluster/still-cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const shared = stillCluster()

interface Options {
  readonly keyPrefix?: string
  readonly redisOptions?: { readonly keyPrefix: string }
  readonly retryDelayOnFailover?: number
}

type AnyCluster = Cluster | Cluster5 | ValkeyCluster

const CLIENTS: readonly { name: string; connect: (options: Options) => AnyCluster }[] = [
  { name: 'ioredis 6', connect: (options) => new Cluster(shared.cluster.addresses, options) },
  { name: 'ioredis 5', connect: (options) => new Cluster5(shared.cluster.addresses, options) },
  { name: 'iovalkey', connect: (options) => new ValkeyCluster(shared.cluster.addresses, options) },
]

/** Not of what the store asks about the server itself. */
function isCall(chunk: unknown): boolean {
  return String(chunk).includes('evalsha')
}

describe.each(CLIENTS)('with $name', ({ connect }) => {
  function open(options: Options = {}): AnyCluster {
    const client = connect(options)
    onTestFinished(() => client.disconnect())
    return client
  }

  function throttleOn(client: AnyCluster, prefix = uniquePrefix()): Throttle {
    const store = new RedisStore({ client, prefix, timeout: 20_000 })
    return new Throttle({ limiter: new GcraLimiter({ store }), rate: DAY })
  }

  test('the calls of a turn leave by one write to each node, and none through the cluster’s client', async () => {
    const client = open()
    const throttle = throttleOn(client)
    await Promise.all(KEYS.map((key) => throttle.check(key)))
    const through = vi.spyOn(client, 'sendCommand')
    const sockets = client.nodes('master').map(({ stream }) => stream)
    const single = sockets.map((socket) => vi.spyOn(socket, '_write'))
    const together = sockets.map((socket) => vi.spyOn(socket, '_writev'))
    const results = await Promise.all(KEYS.map((key) => throttle.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual(KEYS.map(() => 18))
    expect(through).not.toHaveBeenCalled()
    expect(single.map(({ mock }) => mock.calls.filter(([chunk]) => isCall(chunk)).length)).toEqual([0, 0, 0])
    const holdsCalls = (chunks: readonly { chunk: unknown }[]) => chunks.some(({ chunk }) => isCall(chunk))
    const writes = together.map((spy) => spy?.mock.calls.filter(([chunks]) => holdsCalls(chunks)).length)
    expect(writes).toEqual([1, 1, 1])
  })

  test.each<[where: string, options: Options]>([
    ['of the cluster', { keyPrefix: 'mine:' }],
    ['of its nodes', { redisOptions: { keyPrefix: 'mine:' } }],
  ])('all keys are under the keyPrefix %s', async (_where, options) => {
    const client = open(options)
    const prefix = uniquePrefix()
    const throttle = throttleOn(client, prefix)
    for (let turn = 0; turn < 2; turn++) await Promise.all(KEYS.map((key) => throttle.check(key)))
    expect(await shared.keysUnder(`mine:${prefix}`)).toHaveLength(KEYS.length)
    expect(await shared.keysUnder(prefix)).toEqual([])
  })

  test.each([
    { ends: 'is sent again', retryDelayOnFailover: 100 },
    { ends: 'fails', retryDelayOnFailover: 0 },
  ])(
    'a check whose connection is lost $ends, where the client has retryDelayOnFailover $retryDelayOnFailover',
    async (choice) => {
      const { retryDelayOnFailover } = choice
      const client = open({ retryDelayOnFailover })
      const throttle = throttleOn(client)
      await Promise.all(KEYS.map((key) => throttle.check(key)))
      const [node] = client.nodes('master')
      if (node === undefined) throw new Error('the client knows no node')
      const name = `${node.options.host}:${node.options.port}`
      const lost = KEYS.filter((key) => client.slots[calculateSlot(key)]?.[0] === name)
      for (const { server } of shared.cluster.nodes) server.pause()
      const checks = Promise.allSettled(KEYS.map((key) => throttle.check(key)))
      // The turn of the checks is over then, so that they have left.
      await new Promise(setImmediate)
      await new Promise(setImmediate)
      node.stream.destroy()
      for (const { server } of shared.cluster.nodes) server.resume()
      const outcomes = await checks
      const failed = KEYS.filter((_, index) => outcomes[index]?.status === 'rejected')
      expect(lost).not.toEqual([])
      expect(failed).toEqual(retryDelayOnFailover === 0 ? lost : [])
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StoreUnavailableError)
    },
  )
})
