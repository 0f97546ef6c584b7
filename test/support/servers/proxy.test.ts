import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { type FaultProxy, startProxy } from './proxy.ts'
import { type RedisServer, startRedis } from './redis.ts'

let server: RedisServer
let proxy: FaultProxy
let client: Redis

beforeAll(async () => {
  server = await startRedis()
})

afterAll(() => server?.stop())

beforeEach(async () => {
  await server.command('SET', 'counter', 0)
  proxy = await startProxy(server)
  client = connect()
  await client.ping()
})

afterEach(async () => {
  client.disconnect()
  await proxy.stop()
})

/** One that neither connects nor sends again by itself. */
function connect(): Redis {
  const made = new Redis({ port: proxy.port, retryStrategy: null })
  // Each error also rejects a command.
  made.on('error', () => {})
  return made
}

async function counter(): Promise<number> {
  return Number(await server.command('GET', 'counter'))
}

/** Whether there is still no reply after a while. */
async function isPending(reply: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  return (await Promise.race([reply, sleep(50, pending)])) === pending
}

it('delays replies by the latency it is given, and keeps their order', async () => {
  proxy.faults.latency(40)
  const start = performance.now()
  const first = client.incr('counter')
  await expect(first).resolves.toBe(1)
  expect(performance.now() - start).toBeGreaterThanOrEqual(39)
  const late = client.incr('counter')
  while ((await counter()) < 2) await sleep(1)
  proxy.faults.pass()
  await expect(Promise.all([late, client.incr('counter')])).resolves.toEqual([2, 3])
})

it('swallows all in a black hole, and resets the connection when that ends', async () => {
  proxy.faults.blackHole()
  const lost = client.incr('counter')
  expect(await isPending(lost)).toBe(true)
  expect(await counter()).toBe(0)
  proxy.faults.pass()
  await expect(lost).rejects.toThrow('closed')
  await expect(connect().incr('counter')).resolves.toBe(1)
})

it('loses the reply to a command that the server has carried out', async () => {
  proxy.faults.dropReplies({ command: 'incr', times: 1, reset: true })
  await expect(client.get('counter')).resolves.toBe('0')
  await expect(client.incr('counter')).rejects.toThrow('closed')
  expect(await counter()).toBe(1)
  await expect(connect().incr('counter')).resolves.toBe(2)
})

it('loses every reply and leaves the connection open', async () => {
  proxy.faults.dropReplies()
  expect(await isPending(client.incr('counter'))).toBe(true)
  expect(await isPending(client.incr('counter'))).toBe(true)
  expect(await counter()).toBe(2)
})

it('holds replies and delivers them later, in order', async () => {
  proxy.faults.holdReplies()
  const replies = Promise.all([client.incr('counter'), client.incr('counter')])
  expect(await isPending(replies)).toBe(true)
  expect(await counter()).toBe(2)
  proxy.faults.pass()
  await expect(replies).resolves.toEqual([1, 2])
})

it('resets every connection of now and accepts new ones', async () => {
  proxy.faults.holdReplies()
  const lost = client.incr('counter')
  proxy.faults.resetAll()
  await expect(lost).rejects.toThrow('closed')
  proxy.faults.pass()
  await expect(connect().ping()).resolves.toBe('PONG')
})

it('refuses new connections until it accepts them again, while the old ones go on', async () => {
  proxy.faults.refuse()
  await expect(connect().ping()).rejects.toThrow('closed')
  await expect(client.ping()).resolves.toBe('PONG')
  await proxy.faults.accept()
  await expect(connect().ping()).resolves.toBe('PONG')
})

it('repeats to the server what a client sent long before', async () => {
  proxy.record()
  await Promise.all([client.incr('counter'), client.set('large', 'x'.repeat(200_000)), client.incrby('counter', 10)])
  expect(proxy.recorded.map(({ command }) => command)).toEqual(['INCR', 'SET', 'INCRBY'])
  const [request] = proxy.recorded
  if (request === undefined) throw new Error('Nothing was recorded')
  client.disconnect()
  expect(String(await proxy.replay(request))).toBe(':12\r\n')
  expect(await counter()).toBe(12)
})
