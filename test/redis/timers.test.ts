/** The store's one timer: however many checks there are, it is one, it holds nobody's context, and it keeps no process alive. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'
import { until } from '../support/servers/until.ts'

const suite = await redisSuite()

function throttleOn(store: RedisStore): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(5) })
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
}

test('a thousand checks that are in flight share one timer', async () => {
  const throttle = throttleOn(suite.store())
  const before = timers()
  const checks = Array.from({ length: 1000 }, (_, index) => throttle.check(`key ${index}`))
  expect(timers()).toBeLessThanOrEqual(before + 1)
  await Promise.all(checks)
})

test('the timer does not hold the context of the request that came first', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const context = new AsyncLocalStorage<object>()
  const throttle = throttleOn(suite.store())
  const held = await (async () => {
    const request = { body: 'large' }
    await context.run(request, () => throttle.check('key'))
    return new WeakRef(request)
  })()
  await until('the request to be collected', async () => {
    collect()
    return held.deref() === undefined
  })
})

test('who asks again and again does not hold the context of a request that shared a call with the first check', async () => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const context = new AsyncLocalStorage<object>()
  const throttle = throttleOn(suite.store())
  await throttle.check('key')
  // The continuation of this check would open the next turn otherwise.
  await sleep(1)
  let over = false
  const ask = async (): Promise<void> => {
    while (!over) await throttle.check('loop')
  }
  const { held, asking } = (() => {
    const request = { body: 'large' }
    context.run(request, () => throttle.check('key').catch(() => {}))
    return { held: new WeakRef(request), asking: ask() }
  })()
  try {
    await until('the request to be collected', async () => {
      collect()
      return held.deref() === undefined
    })
  } finally {
    over = true
    await asking
  }
})

test.each([2 ** 31, 1e300])('a timeout of %d ms is as good as any', async (timeout) => {
  const warnings: Error[] = []
  const warn = (warning: Error) => warnings.push(warning)
  process.on('warning', warn)
  onTestFinished(() => {
    process.off('warning', warn)
  })
  const throttle = throttleOn(new RedisStore({ client: suite.client, prefix: uniquePrefix(), timeout }))
  expect(await throttle.check('key')).toMatchObject({ limited: false })
  await sleep(20)
  expect(warnings).toEqual([])
})

test('a process ends by itself when its store is closed', async () => {
  const script = `
    import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
    const store = new RedisStore({ url: '${suite.url}', prefix: '${uniquePrefix()}', timeout: 3_600_000 })
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1) })
    const results = [await throttle.check('key'), await throttle.check('key')]
    await store.close()
    console.log(results.map(({ limited }) => limited).join())`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  const output = child.stdout.toArray()
  const errors = child.stderr.toArray()
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(String(Buffer.concat(await errors))).toBe('')
  expect(String(Buffer.concat(await output))).toBe('false,true\n')
})
