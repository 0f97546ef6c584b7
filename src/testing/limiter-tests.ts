/** Tests every limiter on the store: exact counts, all or nothing, and no state lost while it counts. */
import assert from 'node:assert/strict'
import { checkAll } from '../check-all.ts'
import { Quota } from '../quota.ts'
import type { BaseStore } from '../stores/base.ts'
import { Throttle } from '../throttle.ts'
import { expectUntil } from './expectations.ts'
import { LIMITERS } from './limiters.ts'
import { freshKey, KEYS } from './samples.ts'
import type { Declare } from './scene.ts'

/** A quota with a period so long that no unit comes back, and no window ends, during a test. */
function lasting(count: number, name?: string): Quota {
  return new Quota({ count, period: '3650 days', name })
}

export function limiterTests(it: Declare, isShared: boolean): void {
  for (const { name, make } of LIMITERS) {
    const throttleOn = (store: BaseStore, ...rate: Quota[]): Throttle =>
      new Throttle({ limiter: make({ store }), rate })

    it(`${name} admits exactly the limit of many at once`, async ({ store }) => {
      const [key, throttle] = [freshKey(), throttleOn(store, lasting(20))]
      assert.equal(await admittedOf(50, () => throttle.check(key)), 20)
      assert.equal((await throttle.peek(key)).remaining, 0)
    })

    if (isShared) {
      it(`${name} admits exactly the limit of many at once through two handles`, async ({ store, shared }) => {
        assert.ok(shared !== undefined)
        const [key, rate] = [freshKey(), lasting(20)]
        const throttles = [throttleOn(store, rate), throttleOn(shared, rate)]
        let turn = 0
        assert.equal(await admittedOf(50, async () => throttles[turn++ % 2]?.check(key)), 20)
        for (const throttle of throttles) assert.equal((await throttle.peek(key)).remaining, 0)
      })
    }

    it(`${name} spends nothing when it refuses, and on a peek`, async ({ store }) => {
      const [key, throttle] = [freshKey(), throttleOn(store, lasting(5))]
      assert.equal((await throttle.peek(key)).remaining, 5)
      await throttle.check(key, 3)
      for (const quantity of [3, 5, 6, Number.MAX_SAFE_INTEGER]) {
        assert.equal((await throttle.check(key, quantity)).limited, true, `${quantity} of the 2 that are left`)
        assert.equal((await throttle.peek(key)).remaining, 2)
      }
      assert.equal((await throttle.check(key, 2)).limited, false)
    })

    it(`${name} forgets a key that is cleared, and no other`, async ({ store }) => {
      const [key, other, throttle] = [freshKey(), freshKey(), throttleOn(store, lasting(5))]
      await throttle.check(key, 5)
      await throttle.check(other, 2)
      assert.equal((await throttle.clear(key)).remaining, 5)
      assert.equal((await throttle.peek(key)).remaining, 5)
      assert.equal((await throttle.check(key, 5)).limited, false)
      assert.equal((await throttle.peek(other)).remaining, 3)
    })

    it(`${name} gives back what is refunded, and no more`, async ({ store }) => {
      const [key, throttle] = [freshKey(), throttleOn(store, lasting(5))]
      await throttle.check(key, 4)
      assert.equal((await throttle.refund(key, 3)).remaining, 4)
      assert.equal((await throttle.refund(key, 9)).remaining, 5)
      assert.equal((await throttle.peek(key)).remaining, 5)
    })

    it(`${name} finds what is used when a quota is lowered far under its name`, async ({ store }) => {
      const [key, high, low] = [freshKey(), lasting(10_000, 'plan'), lasting(5, 'plan')]
      const throttle = throttleOn(store, high)
      await throttle.check(key, 10_000)
      assert.equal((await throttle.check(key, 1, { rate: low })).limited, true)
      assert.equal((await throttle.refund(key, 1, { rate: low })).remaining, 0)
      assert.equal((await throttle.peek(key)).remaining, 1)
    })

    it(`${name} spends in all layers or in none`, async ({ store }) => {
      const [key, rates] = [freshKey(), [lasting(4, 'few'), lasting(10, 'many')]]
      const throttle = throttleOn(store, ...rates)
      const [few, many] = rates.map((rate) => throttleOn(store, rate))
      await many?.check(key, 5)
      assert.equal((await throttle.check(key, 3)).limited, false)
      assert.equal((await throttle.check(key, 2)).limited, true, 'the first layer is short')
      assert.equal((await few?.clear(key))?.remaining, 4)
      assert.equal((await throttle.check(key, 3)).limited, true, 'the second layer is short')
      assert.deepEqual([(await few?.peek(key))?.remaining, (await many?.peek(key))?.remaining], [4, 2])
      assert.deepEqual(
        (await throttle.peek(key)).layers.map(({ remaining }) => remaining),
        [4, 2],
      )
    })

    it(`${name} loses nothing of layers when many ask at once`, async ({ store }) => {
      const [key, throttle] = [freshKey(), throttleOn(store, lasting(8, 'few'), lasting(30, 'many'))]
      const admitted = await admittedOf(30, () => throttle.check(key))
      assert.ok(admitted <= 8, `${admitted} were admitted, of 8`)
      const left = (await throttle.peek(key)).layers.map(({ remaining }) => remaining)
      assert.deepEqual(left, [8 - admitted, 30 - admitted], 'what is left after those that were admitted')
    })
  }

  it('checkAll spends for all subjects or for none', async ({ store }) => {
    const [user, tenant] = [freshKey(), freshKey()]
    const [perUser, perTenant] = LIMITERS.slice(0, 2).map(
      ({ make }, index) => new Throttle({ limiter: make({ store }), rate: lasting(index === 0 ? 5 : 8) }),
    )
    assert.ok(perUser !== undefined && perTenant !== undefined)
    const ask = (quantity: number): Promise<{ limited: boolean }> =>
      checkAll([
        { throttle: perUser, key: user, quantity },
        { throttle: perTenant, key: tenant, quantity: quantity * 2 },
      ])
    assert.equal((await ask(3)).limited, false)
    for (const quantity of [3, 2]) assert.equal((await ask(quantity)).limited, true)
    assert.deepEqual([(await perUser.peek(user)).remaining, (await perTenant.peek(tenant)).remaining], [2, 2])
    assert.equal((await ask(1)).limited, false)
  })

  it('what a limiter keeps is not forgotten while it counts', async ({ store }) => {
    await Promise.all(
      LIMITERS.map(async ({ name, make }) => {
        const rate = new Quota({ count: 3, period: 1600 })
        const [key, throttle] = [freshKey(), new Throttle({ limiter: make({ store }), rate })]
        await throttle.check(key, 3)
        const since = performance.now()
        const { retryAfter } = await throttle.check(key, 3)
        await expectUntil(since, retryAfter, async () => {
          const { limited } = await throttle.check(key, 3)
          const early = retryAfter - (performance.now() - since)
          return () => assert.equal(limited, true, `${name} forgot ${early} ms too early what was spent`)
        })
      }),
    )
  })

  it('limiters, policies and keys of any characters count apart', async ({ store }) => {
    const throttles = LIMITERS.flatMap(({ make }) =>
      ['one', 'two'].map((policy) => new Throttle({ limiter: make({ store }), rate: lasting(100, policy) })),
    )
    const unique = freshKey()
    const keys = KEYS.filter((key) => key.length < 300).map((key) => unique + key)
    const [first, ...others] = throttles
    for (const [index, key] of keys.entries()) await first?.check(key, index + 1)
    for (const [index, key] of keys.entries()) {
      assert.equal((await first?.peek(key))?.remaining, 99 - index, `the key ${JSON.stringify(key)}`)
      for (const throttle of others) assert.equal((await throttle.peek(key)).remaining, 100)
    }
  })
}

async function admittedOf(count: number, check: () => Promise<{ limited: boolean } | undefined>): Promise<number> {
  const results = await Promise.all(Array.from({ length: count }, check))
  return results.filter((result) => result?.limited === false).length
}
