/** The server lives, and loses or refuses something under load: the excess admitted is bounded, and checks succeed again without help. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { FixedWindowLimiter, GcraLimiter, Quota, Throttle } from 'onrush'
import { describe, expect, test } from 'vitest'
import { expectMemoryToReturn } from '../support/faults/memory.ts'
import { openStore, Scene, TIMEOUT, throttleOn } from '../support/faults/suite.ts'
import { expectLimit, LIMIT, under } from '../support/faults/under.ts'
import { freePort } from '../support/servers/server-process.ts'
import { until } from '../support/servers/until.ts'

expectMemoryToReturn(4_000_000)

/** ms: where no check may fail, however busy the machine is. */
const LONG = 20_000

describe.concurrent.each([{ resend: false }, { resend: true }])('with resend: $resend', ({ resend }) => {
  test('SCRIPT FLUSH, again and again: no check fails and none is counted twice', async () => {
    await using scene = await Scene.start({ resend, timeout: LONG })
    const report = await under(scene, async () => {
      for (let count = 0; count < 20; count++) {
        await scene.server.command('SCRIPT', 'FLUSH')
        await sleep(20)
      }
    })
    expect(report).toMatchObject({ admitted: LIMIT, failures: new Map() })
  })

  test('FLUSHALL: no check fails, and the limit is there once more each time', async () => {
    await using scene = await Scene.start({ resend, timeout: LONG })
    const report = await under(scene, async (load) => {
      for (let count = 0; count < 2; count++) {
        await load.exhausted()
        await scene.server.command('FLUSHALL')
      }
    })
    expect(report).toMatchObject({ admitted: 3 * LIMIT, failures: new Map() })
  })

  test('no memory left, with noeviction: calls that would spend fail and are not counted, and those that look are answered', async () => {
    await using scene = await Scene.start({ resend, timeout: LONG })
    const other = openStore(scene.proxy.port, { resend, timeout: LONG })
    const report = await under(scene, async () => {
      await scene.server.command('CONFIG', 'SET', 'maxmemory', 1)
      await sleep(300)
      expect(await throttleOn(other, LIMIT).peek('somebody')).toMatchObject({ limited: false })
      await scene.server.command('CONFIG', 'SET', 'maxmemory', 0)
    })
    await other.close()
    expect(report.admitted).toBe(LIMIT)
    expect([...report.reasons].join()).toMatch(/^OOM/)
  })

  test('a password that is changed', async () => {
    await using scene = await Scene.start(
      { resend, password: 'first' },
      { acl: ['user default on >first ~* &* +@all'] },
    )
    const report = await under(scene, async () => {
      await scene.server.command('CONFIG', 'SET', 'requirepass', 'second')
      await scene.server.command('CLIENT', 'KILL', 'TYPE', 'normal')
      await sleep(2 * TIMEOUT)
      await scene.server.command('CONFIG', 'SET', 'requirepass', 'first')
    })
    expectLimit(report)
    expect([...report.reasons].join()).toContain('WRONGPASS')
  })

  test('a master that becomes a replica and again a master', async () => {
    await using scene = await Scene.start({ resend })
    const nowhere = await freePort()
    const report = await under(scene, async () => {
      await scene.server.command('REPLICAOF', '127.0.0.1', nowhere)
      await sleep(2 * TIMEOUT)
      await scene.server.command('REPLICAOF', 'NO', 'ONE')
    })
    expectLimit(report)
    expect([...report.reasons].join()).toContain('READONLY')
  })
})

describe.concurrent('memory that is full, with allkeys-lru', () => {
  test('no check fails; a key that is pushed out starts afresh, so the limit is there once more each time', async () => {
    await using scene = await Scene.start(
      { timeout: LONG },
      { args: ['--maxmemory-policy', 'allkeys-lru', '--notify-keyspace-events', 'Ee'] },
    )
    let evicted = 0
    const listener = new Redis(scene.server.port)
    listener.on('message', (_channel, key: string) => {
      if (key.includes('{hot}')) evicted++
    })
    await listener.subscribe('__keyevent@0__:evicted')
    const throttle = throttleOn(scene.store, LIMIT)
    expect(await throttle.check('idle', LIMIT)).toMatchObject({ limited: false })
    const report = await under(scene, async (load) => {
      const used = /used_memory:(\d+)/.exec(await scene.server.information('memory'))?.[1]
      await scene.server.command('CONFIG', 'SET', 'maxmemory', Number(used) + 100_000)
      await load.run(1500)
      await until('the idle key to be pushed out', async () => (await throttle.peek('idle')).remaining === LIMIT)
    })
    listener.disconnect()
    expect(report.failures).toEqual(new Map())
    expect(report.admitted).toBeGreaterThanOrEqual(LIMIT)
    expect(report.admitted).toBeLessThanOrEqual(LIMIT * (1 + evicted))
  })
})

describe.concurrent.each([
  { name: 'GcraLimiter', Limiter: GcraLimiter },
  { name: 'FixedWindowLimiter', Limiter: FixedWindowLimiter },
])('a clock that jumps an hour, with $name by the hour', ({ Limiter }) => {
  test('forwards gives back that hour once; backwards gives nothing, and locks nobody out for longer than the hour', async () => {
    let hour = 500_000
    await using scene = await Scene.start({ clock: () => hour * 3_600_000_000, timeout: LONG })
    const throttle = new Throttle({ limiter: new Limiter({ store: scene.store }), rate: Quota.perHour(LIMIT) })
    const report = await under(
      scene,
      async (load) => {
        for (const jump of [1, -1, 1, -1]) {
          await load.exhausted()
          hour += jump
        }
      },
      throttle,
    )
    expect(report).toMatchObject({ admitted: 2 * LIMIT, failures: new Map() })
    expect((await throttle.peek('hot')).retryAfter).toBeLessThanOrEqual(2 * 3_600_000)
    hour += 2
    expect(await throttle.check('hot')).toMatchObject({ limited: false })
  })
})
