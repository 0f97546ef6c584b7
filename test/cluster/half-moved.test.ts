/** A slot that is half moved: what lies on both nodes waits or is given up, and all else is decided on either side. */
import { setTimeout as sleep } from 'node:timers/promises'
import calculateSlot from 'cluster-key-slot'
import {
  ConcurrencyLimiter,
  checkAll,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  type RateLimitResult,
  type RedisStore,
  reserveAll,
  StoreTimeoutError,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { Load } from '../support/cluster/load.ts'
import { movingCluster, PERIOD } from '../support/cluster/moving-cluster.ts'
import type { ClusterNode } from '../support/servers/cluster.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const shared = movingCluster()
const { store, move } = shared

describe('while a slot is half moved', () => {
  const quick = Quota.parse(`20/${PERIOD}`)
  const slow = Quota.parse('20/3652 days')
  const once = Quota.parse('20/3651 days')

  function throttleOn(own: RedisStore, rate: Quota | readonly Quota[]): Throttle {
    return new Throttle({ limiter: new GcraLimiter({ store: own }), rate })
  }

  /** Two layers whose states have a key each, because the state of one is a log. */
  function tornOn(own: RedisStore): Throttle {
    return new Throttle({
      layers: [
        { limiter: new GcraLimiter({ store: own }), rate: quick },
        { limiter: new MovingWindowLimiter({ store: own }), rate: slow },
      ],
    })
  }

  function remainingOf(result: RateLimitResult): number[] {
    return result.layers.map(({ remaining }) => remaining)
  }

  /** A key whose two states lie on two nodes. */
  async function tear(throttle: Throttle): Promise<{ key: string; heal: () => Promise<void>; from: ClusterNode }> {
    const key = `torn ${uniquePrefix()}`
    await throttle.check(key)
    const slot = calculateSlot(`{${key}}`)
    const { from, to } = await move(slot, { half: true })
    return { key, from, heal: () => shared.cluster.migrateSlot(slot, from, to) }
  }

  test('the layers of a key are never torn apart, because their states are one value', async () => {
    const own = store({ shards: 1 })
    const throttle = throttleOn(own, [quick, slow])
    const keys = Array.from({ length: 30 }, (_, index) => `layered ${index}`)
    await Promise.all(keys.map((key) => throttle.check(key)))
    const slot = calculateSlot('{0}')
    const { from, to } = await move(slot, { half: true })
    const results = await Promise.all([...keys, 'new'].map((key) => throttle.check(key, 2)))
    expect(results.map(remainingOf)).toEqual([...keys.map(() => [17, 17]), [18, 18]])
    await shared.cluster.migrateSlot(slot, from, to)
  })

  test('what lies on both sides waits until it has moved, and is counted once in each layer', async () => {
    const throttle = tornOn(store())
    const { key, heal } = await tear(throttle)
    const held = await throttle.reserve('another key', 2)
    const asked = [throttle.check(key, 2), throttle.check(key), throttle.refund(key), held.settle(1)]
    // Longer than ioredis follows redirections.
    await sleep(500)
    await heal()
    expect((await Promise.all(asked)).map(remainingOf)).toEqual([
      [17, 17],
      [16, 16],
      [17, 17],
      [19, 19],
    ])
    expect(remainingOf(await throttle.peek(key))).toEqual([17, 17])
  })

  test('what lies on both sides for too long is given up, counts nowhere, and disturbs no other key', async () => {
    const throttle = tornOn(store({ timeout: 1000 }))
    const { key, heal, from } = await tear(throttle)
    const neighbours = Array.from({ length: 60 }, (_, index) => `neighbour ${index}`)
    const load = new Load([throttle], neighbours, { callers: 1 })
    const error: unknown = await throttle.check(key).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StoreTimeoutError)
    expect(error).toMatchObject({ cause: { message: expect.stringMatching(/TRYAGAIN|redirections/) } })
    await load.stop()
    expect(load.failures).toEqual([])
    const owners = await Promise.all(neighbours.map((each) => shared.cluster.ownerOf(calculateSlot(`{${each}}`))))
    expect(owners).toContain(from)
    // The client may still do work after it was given up.
    await sleep(500)
    await heal()
    expect(remainingOf(await throttle.peek(key))).toEqual([19, 19])
  })

  test('keys of one shard are decided on either side, new ones too, while one that is torn must wait', async () => {
    const own = store({ shards: 1 })
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)
    const single = throttleOn(own, once)
    const layered = tornOn(own)
    await Promise.all(keys.map((key) => single.check(key)))
    const slot = calculateSlot('{0}')
    const { from, to } = await move(slot, { half: true })
    let moved = false
    const waiting = layered.check('new and of two layers').then((result) => ({ result, moved }))
    const results = await Promise.all([...keys, 'new'].map((key) => single.check(key)))
    expect(results.map(({ remaining }) => remaining)).toEqual([...keys.map(() => 18), 19])
    moved = true
    await shared.cluster.migrateSlot(slot, from, to)
    const { result, moved: wasMoved } = await waiting
    expect(remainingOf(result)).toEqual([19, 19])
    expect(wasMoved).toBe(true)
    const after = await Promise.all([...keys, 'new'].map((key) => single.peek(key)))
    expect(after.map(({ remaining }) => remaining)).toEqual([...keys.map(() => 18), 19])
  })

  test('subjects of a checkAll that lie apart are decided together or not at all', async () => {
    const own = store({ hashTag: () => 'together' })
    const throttle = throttleOn(own, once)
    const keys = ['a', 'b', 'c', 'd']
    const together = () => checkAll(keys.map((key) => ({ throttle, key, quantity: 5 })))
    await together()
    const slot = calculateSlot('{together}')
    const { from, to } = await move(slot, { half: true })
    const asked = [together(), together(), together(), together()]
    await sleep(200)
    await shared.cluster.migrateSlot(slot, from, to)
    expect((await Promise.all(asked)).map(({ limited }) => limited)).toEqual([false, false, false, true])
    expect((await Promise.all(keys.map((key) => throttle.peek(key)))).map(({ remaining }) => remaining)).toEqual([
      0, 0, 0, 0,
    ])
  })

  test('and so are subjects of a reserveAll with permits, whose tickets are keys of their own', async () => {
    const own = store({ hashTag: () => 'together with permits' })
    const rate = throttleOn(own, once)
    const limiter = new ConcurrencyLimiter({ store: own })
    const permits = new Throttle({ limiter, rate: Quota.concurrent(4, { lease: '1h' }) })
    const keys = ['a', 'b', 'c']
    const together = () =>
      reserveAll(
        keys.map((key, index) => ({ throttle: index === 0 ? rate : permits, key, quantity: index === 0 ? 5 : 1 })),
      )
    const first = await together()
    const slot = calculateSlot('{together with permits}')
    const { from, to } = await move(slot, { half: true })
    const asked = [together(), together(), together(), together()]
    await sleep(200)
    await shared.cluster.migrateSlot(slot, from, to)
    const all = await Promise.all(asked)
    expect(all.map(({ result }) => result.limited)).toEqual([false, false, false, true])
    await Promise.all([first, ...all].map((each) => each.cancel()))
    expect((await rate.peek('a')).remaining).toBe(20)
    for (const key of ['b', 'c']) expect((await permits.peek(key)).remaining).toBe(4)
  })

  test('a reset forgets what lies on either side', async () => {
    const own = store({ hashTag: () => 'reset' })
    const throttle = throttleOn(own, once)
    const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`)
    await Promise.all(keys.map((key) => throttle.check(key)))
    const slot = calculateSlot('{reset}')
    const { from, to } = await move(slot, { half: true })
    await own.reset()
    await shared.cluster.migrateSlot(slot, from, to)
    const after = await Promise.all(keys.map((key) => throttle.peek(key)))
    expect(after.map(({ remaining }) => remaining)).toEqual(keys.map(() => 20))
  })
})
