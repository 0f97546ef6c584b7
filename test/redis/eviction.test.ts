/** There is one warning of a server that may evict keys which still count: as a process warning and as an event. */
import { setImmediate } from 'node:timers/promises'
import { GcraLimiter, Quota, RedisStore, subscribe, Throttle, type WarningEvent } from 'onrush'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

let server: RedisServer

beforeAll(async () => {
  server = await startRedis({ acl: ['user blind on >secret ~* +@all -info'] })
})

afterAll(async () => {
  await server?.stop()
})

interface Warnings {
  readonly process: (string | undefined)[]
  readonly events: WarningEvent[]
}

function heard(): Warnings {
  const warnings: Warnings = { process: [], events: [] }
  const onWarning = (warning: Error): void => {
    if ('code' in warning && warning.code === 'ONRUSH_EVICTION') warnings.process.push(warning.message)
  }
  process.on('warning', onWarning)
  const unsubscribe = subscribe('onrush:warning', (event) => warnings.events.push(event))
  onTestFinished(() => {
    process.off('warning', onWarning)
    unsubscribe()
  })
  return warnings
}

/** Makes a store, asks it several times, and closes it after the answers to the store's own requests. */
async function use(who: string): Promise<void> {
  const store = new RedisStore({
    url: `redis://${who}127.0.0.1:${server.port}`,
    prefix: uniquePrefix(),
    timeout: 20_000,
  })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perSecond(100) })
  for (let count = 0; count < 3; count++) expect((await throttle.check('key')).limited).toBe(false)
  await store.close()
  await setImmediate()
}

test.each(['allkeys-lru', 'volatile-lru', 'allkeys-random', 'volatile-random', 'volatile-ttl'])(
  'of %s it is told once, however many stores there are, and what to do',
  async (policy) => {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', policy)
    const warnings = heard()
    await use('')
    await use('')
    expect(warnings.process).toEqual([expect.stringContaining(`maxmemory-policy ${policy}`)])
    expect(warnings.events).toEqual([
      { code: 'ONRUSH_EVICTION', message: expect.stringMatching(/Use noeviction, or an LFU policy/) },
    ])
  },
)

test.each(['noeviction', 'allkeys-lfu', 'volatile-lfu'])('of %s nothing is said', async (policy) => {
  await server.command('CONFIG', 'SET', 'maxmemory-policy', policy)
  const warnings = heard()
  await use('')
  expect(warnings).toEqual({ process: [], events: [] })
})

test('where INFO may not be read, nothing is said and nothing fails', async () => {
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl')
  const warnings = heard()
  await server.restart()
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl')
  await use('blind:secret@')
  expect(warnings).toEqual({ process: [], events: [] })
})
