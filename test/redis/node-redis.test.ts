/** Clients of node-redis that have no connection, lose it, or are refused by the server. */
import { setTimeout } from 'node:timers/promises'
import { GcraLimiter, Quota, RedisStore, StoreTimeoutError, StoreUnavailableError, Throttle } from 'onrush'
import { createClient, createCluster, createSentinel, type RedisClientType } from 'redis'
import {
  createClient as createClient5,
  createCluster as createCluster5,
  createSentinel as createSentinel5,
} from 'redis5'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { until } from '../support/servers/until.ts'

function throttleOn(store: RedisStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.parse('100/3653 days') })
}

const url = 'redis://127.0.0.1:1'

test.each([
  ['client 6', createClient({ url })],
  ['client 5', createClient5({ url })],
  ['cluster 6', createCluster({ rootNodes: [{ url }] })],
  ['cluster 5', createCluster5({ rootNodes: [{ url }] })],
])('a %s that was never connected is told apart from a server that is away', async (_name, client) => {
  const store = new RedisStore({ client })
  await expect(throttleOn(store).check('key')).rejects.toThrow(/client\.connect\(\)/)
  await expect(throttleOn(store).check('key')).rejects.toThrow(StoreUnavailableError)
  expect(await store.ping()).toBe(false)
})

const sentinel = { name: 'mymaster', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }

test.each<[string, object]>([
  ['a client for sentinels, version 6', createSentinel(sentinel)],
  ['a client for sentinels, version 5', createSentinel5(sentinel)],
  ['a client in legacy mode', createClient5({ url }).legacy()],
  ['anything else', new Map()],
])('%s is no client of a store', (_name, client) => {
  const options = { client }
  // @ts-expect-error: its type says so too
  expect(() => new RedisStore(options)).toThrow(TypeError)
})

test.each([
  ['client', ['isOpen', 'isReady', 'sendCommand', 'commandOptions', 'executeIsolated', 'multiExecutor']],
  ['cluster', ['isOpen', 'sendCommand', 'multiExecutor', 'nodeClient', 'masters', 'slots']],
])('a %s of node-redis 4 is refused by name, before anything is counted', (_kind, members) => {
  // The members by which kinds of clients are told apart.
  const client = { ...Object.fromEntries(members.map((member) => [member, () => {}])), isOpen: true }
  // @ts-expect-error: its type says so too
  expect(() => new RedisStore({ client })).toThrow(/node-redis 5 or 6,.* got a client of node-redis 4/)
})

test('clients of node-redis 3 and ioredis 4 are refused by name', () => {
  const third = { send_command: () => {}, sendCommand: () => {}, connected: true }
  // @ts-expect-error: its type says so too
  expect(() => new RedisStore({ client: third })).toThrow(/got a client of node-redis 3/)
  const fourth = { callBuffer: () => {}, status: 'ready', options: {}, _addedScriptHashes: {} }
  // @ts-expect-error: its type says so too
  expect(() => new RedisStore({ client: fourth })).toThrow(/got a client of ioredis 4/)
})

interface Client extends Pick<RedisClientType, 'isOpen' | 'isReady' | 'sendCommand'> {
  on(event: string, listener: () => void): this
  off(event: string, listener: () => void): this
  connect(): Promise<unknown>
  destroy(): void
}

describe.each<[string, (options: { url: string }) => Client]>([
  ['6', createClient],
  ['5', createClient5],
])('node-redis %s', (_version, create) => {
  let server: RedisServer
  let proxy: FaultProxy

  beforeAll(async () => {
    server = await startRedis({ acl: ['user reader on >secret ~* +@all -@scripting'] })
    proxy = await startProxy({ port: server.port })
  })

  afterAll(async () => {
    await proxy?.stop()
    await server?.stop()
  })

  async function connected(address: string): Promise<AsyncDisposable & { readonly client: Client }> {
    const client = create({ url: address })
    client.on('error', () => {})
    await client.connect()
    return { client, [Symbol.asyncDispose]: async () => client.destroy() }
  }

  const direct = (): string => `redis://default@127.0.0.1:${server.port}`
  const through = (): string => `redis://default@127.0.0.1:${proxy.port}`

  test('a check whose reply was lost rejects, and is not sent again', async () => {
    await using near = await connected(direct())
    await using far = await connected(through())
    const prefix = 'lost'
    const throttle = throttleOn(new RedisStore({ client: far.client, prefix, timeout: 20_000 }))
    await throttle.check('key')
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    await expect(throttle.check('key')).rejects.toThrow(StoreUnavailableError)
    proxy.faults.pass()
    expect((await throttle.check('key')).remaining).toBe(97)
    expect((await throttleOn(new RedisStore({ client: near.client, prefix })).peek('key')).remaining).toBe(97)
  })

  test('with `resend`, it is sent again, and counted once', async () => {
    await using far = await connected(through())
    const throttle = throttleOn(new RedisStore({ client: far.client, prefix: 'resend', timeout: 20_000, resend: true }))
    await throttle.check('key')
    proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    expect((await throttle.check('key')).remaining).toBe(98)
    proxy.faults.pass()
  })

  test('a check that is given up while the connection is away is not sent later', async () => {
    await using far = await connected(through())
    const throttle = throttleOn(new RedisStore({ client: far.client, prefix: 'queued', timeout: 300 }))
    await until('the script to be known', async () => !(await throttle.check('warm up')).limited)
    proxy.faults.refuse()
    proxy.faults.resetAll()
    await until('the client to notice', async () => !far.client.isReady)
    await expect(throttle.check('key')).rejects.toThrow(StoreTimeoutError)
    // The client has timed its queue by the same number, a moment later.
    await setTimeout(100)
    await proxy.faults.accept()
    await until('the client to connect again', async () => far.client.isReady)
    await until('the server to answer', async () => (await throttle.peek('key')).remaining === 100)
    expect((await throttle.peek('key')).remaining).toBe(100)
  })

  test('what the server refuses is not asked again', async () => {
    await using client = await connected(`redis://reader:secret@127.0.0.1:${server.port}`)
    const store = new RedisStore({ client: client.client, timeout: 5000, resend: true })
    const refused = await Promise.allSettled([throttleOn(store).check('key')])
    expect(refused).toEqual([{ status: 'rejected', reason: expect.any(StoreUnavailableError) }])
    expect(refused[0]).toHaveProperty('reason.message', expect.stringContaining('NOPERM'))
  })
})
