/** The store on provided clients of every kind: the same answers, the same records, and the client stays open. */
import { LimitData, MismatchedDataError, Quota } from 'onrush'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LIMITERS } from '../support/limiters.ts'
import { CLIENTS, OTHER_CLIENTS, type ProvidedClient } from '../support/redis/clients.ts'
import { BothImplementations } from '../support/redis/implementations.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

describe.each([...CLIENTS, ...OTHER_CLIENTS].map(({ name, connect }) => [name, connect] as const))(
  '%s',
  (_name, connect) => {
    let provided: ProvidedClient

    beforeAll(async () => {
      provided = await connect(suite.url)
    })

    afterAll(() => provided?.close())

    function askBoth(): BothImplementations {
      return new BothImplementations(suite.client, 1_700_000_000_000_000, { client: provided.client })
    }

    test('answers and keeps what the store in this process does', async () => {
      for (const counting of LIMITERS) {
        const both = askBoth()
        const throttle = both.throttle([
          { counting, rate: [Quota.perSecond(7, { maximumBurst: 2 }), Quota.perDay(20)] },
        ])
        for (const quantity of [0, 1, 2, 5, 3, 1, 9, 2 ** 53 - 1]) {
          both.now += 123_457
          await both.check(throttle, 'key', quantity)
        }
        await both.expectSameStates(['key'])
        expect(await throttle.remote.clear('key')).toStrictEqual(throttle.local.clearSync('key'))
        await both.check(throttle, 'key', 1)
      }
    })

    test('heals a script that the server does not know', async () => {
      const both = askBoth()
      const throttle = both.throttle(LIMITERS.map((counting) => ({ counting, rate: Quota.perSecond(3) })))
      await suite.client.script('FLUSH')
      await both.check(throttle, 'key', 2)
      await both.check(throttle, 'key', 2)
    })

    test('keeps, swaps and deletes records', async () => {
      const store = suite.store({ client: provided.client })
      const first = new LimitData({
        used: 0.1 + 0.2,
        remaining: 2 / 3,
        createdAt: 1e15 + 0.125,
        history: [1e-300, 2 ** 53 - 1],
      })
      const second = first.copyWith({ used: 2, time: 5 })
      expect(await store.get('key')).toBeUndefined()
      await store.compareAndSwap('key', undefined, first, 60_000)
      await expect(store.compareAndSwap('key', undefined, second)).rejects.toThrow(MismatchedDataError)
      expect(await store.get('key')).toStrictEqual(first)
      await store.compareAndSwap('key', first, second, 60_000)
      await expect(store.compareAndSwap('key', first, second)).rejects.toMatchObject({
        expected: first,
        actual: second,
      })
      await store.set('key', first, 60_000)
      expect(await store.get('key')).toStrictEqual(first)
      await store.delete('key')
      expect(await store.get('key')).toBeUndefined()
    })

    test('tells the server’s time and that it can be reached, and stays open when the store is closed', async () => {
      const store = suite.store({ client: provided.client })
      const before = Number((await suite.client.time())[0])
      const now = await store.currentTime()
      expect(Number.isSafeInteger(now)).toBe(true)
      expect(now / 1_000_000).toBeGreaterThanOrEqual(before)
      expect(now / 1_000_000).toBeLessThan(before + 60)
      expect(await store.ping()).toBe(true)
      await store.close()
      expect(await suite.store({ client: provided.client }).ping()).toBe(true)
    })
  },
)
