/** A client that the user provides, with ioredis's defaults: it sends unanswered commands again after a lost connection, which counts twice, and a warning says so. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { RedisStore, type RedisStoreOptions, StoreTimeoutError, type Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { Scene, throttleOn } from '../support/faults/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'
import { unhandledDuring } from '../support/unhandled.ts'

const LIMIT = 100

function clientOn(scene: Scene, options: Pick<RedisOptions, 'autoResendUnfulfilledCommands'> = {}): Redis {
  const client = new Redis({ port: scene.proxy.port, retryStrategy: () => 20, ...options })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  return client
}

function storeOn(
  client: Redis | Cluster,
  options: Partial<Omit<RedisStoreOptions, 'url' | 'client'>> = {},
): RedisStore {
  return new RedisStore({ client, prefix: uniquePrefix(), ...options })
}

/** Each of ten checks loses its reply after the script ran; answers how many units that has cost, and how many were admitted. */
async function loseReplies(scene: Scene, throttle: Throttle): Promise<{ counted: number; admitted: number }> {
  await throttle.check('warm')
  let admitted = 0
  for (let round = 0; round < 10; round++) {
    scene.proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
    const result = await throttle.check('key').catch(() => undefined)
    if (result !== undefined) admitted++
  }
  return { counted: LIMIT - (await throttle.peek('key')).remaining, admitted }
}

test('with the defaults, a check whose reply was lost is counted twice and never too little', async () => {
  await using scene = await Scene.start()
  const throttle = throttleOn(storeOn(clientOn(scene)), LIMIT)
  expect(await loseReplies(scene, throttle)).toEqual({ counted: 20, admitted: 10 })
})

test('with autoResendUnfulfilledCommands: false, it fails and is counted once', async () => {
  await using scene = await Scene.start()
  const throttle = throttleOn(storeOn(clientOn(scene, { autoResendUnfulfilledCommands: false })), LIMIT)
  expect(await loseReplies(scene, throttle)).toEqual({ counted: 10, admitted: 0 })
})

test.each([true, false])(
  'with resend, it is answered and counted once, autoResendUnfulfilledCommands: %s',
  async (again) => {
    await using scene = await Scene.start()
    const client = clientOn(scene, { autoResendUnfulfilledCommands: again })
    expect(await loseReplies(scene, throttleOn(storeOn(client, { resend: true }), LIMIT))).toEqual({
      counted: 10,
      admitted: 10,
    })
  },
)

test('a check that is given up while the client reconnects is not left in its queue', async () => {
  await using scene = await Scene.start()
  const throttle = throttleOn(storeOn(clientOn(scene), { timeout: 200 }), LIMIT)
  await throttle.check('key')
  scene.proxy.faults.refuse()
  scene.proxy.faults.resetAll()
  await sleep(50)
  const checks = await Promise.allSettled(Array.from({ length: 10 }, () => throttle.check('key')))
  for (const check of checks) {
    expect(check).toMatchObject({ reason: expect.any(StoreTimeoutError) })
    expect(check).toMatchObject({ reason: { sent: false } })
  }
  await scene.proxy.faults.accept()
  expect(await throttle.peek('key')).toMatchObject({ remaining: LIMIT - 1 })
})

const DATABASE = { retryStrategy: () => 20, maxRetriesPerRequest: 0 }

test.each<[string, (port: number) => Redis | Redis5 | Valkey]>([
  ['ioredis 6', (port) => new Redis({ port, ...DATABASE })],
  ['ioredis 5', (port) => new Redis5({ port, ...DATABASE })],
  ['iovalkey', (port) => new Valkey({ port, ...DATABASE })],
])(
  'a connection that is lost while %s selects its database again leaves no rejection unhandled',
  async (_name, connect) => {
    await using scene = await Scene.start()
    const client = connect(scene.proxy.port)
    client.on('error', () => {})
    onTestFinished(() => client.disconnect())
    await client.select(1)
    const throttle = throttleOn(new RedisStore({ client, timeout: 20_000 }), LIMIT)
    await throttle.check('key')
    const unhandled = await unhandledDuring(async () => {
      for (let times = 0; times < 3; times++) {
        scene.proxy.faults.dropReplies({ command: 'SELECT', times: 1, reset: true })
        scene.proxy.faults.resetAll()
        await until('it to be connected again', async () => (await throttle.peek('key')).remaining === LIMIT - 1)
      }
    })
    expect(unhandled).toEqual([])
  },
)

test('a client that sends again is warned of once, and any other is not', async () => {
  const warnings: unknown[] = []
  const warn = (warning: Error) => warnings.push('code' in warning ? warning.code : undefined)
  process.on('warning', warn)
  onTestFinished(() => {
    process.off('warning', warn)
  })
  const lazy = { lazyConnect: true }
  const nowhere = [{ host: '127.0.0.1', port: 1 }]
  const silent = [
    new Redis({ ...lazy, autoResendUnfulfilledCommands: false }),
    new Redis({ ...lazy, maxRetriesPerRequest: 0 }),
    new Cluster(nowhere, { ...lazy, retryDelayOnFailover: 0 }),
  ]
  const loud = [new Redis(lazy), new Cluster(nowhere, lazy)]
  for (const client of [...silent, ...silent]) storeOn(client)
  storeOn(new Redis(lazy), { resend: true })
  await new RedisStore({ url: 'redis://127.0.0.1:1', options: lazy }).close()
  await sleep(10)
  expect(warnings).toEqual([])
  for (const client of [...loud, ...loud]) storeOn(client)
  await sleep(10)
  expect(warnings).toEqual(['ONRUSH_CLIENT_SENDS_AGAIN', 'ONRUSH_CLIENT_SENDS_AGAIN'])
})
