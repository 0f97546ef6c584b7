/** A refusal in which a block had a part is never remembered, because the block may be lifted elsewhere. */
import { Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()

test.each([['a block', true] as const, ['a lock-out', { lockout: '1d' }] as const])(
  '%s that another process lifts refuses nobody any more, not even by a deny cache',
  async (_, blocks) => {
    const prefix = uniquePrefix()
    const cached = new Throttle({
      store: suite.store({ prefix, denyCache: { maxSize: 100 } }),
      rate: '1/minute',
      blocks,
    })
    const elsewhere = new Throttle({ store: suite.store({ prefix }), rate: '1/minute', blocks })
    if (blocks === true) await elsewhere.block('key', '1h')
    else await elsewhere.check('key')
    for (let time = 0; time < 3; time++) {
      expect(await cached.check('key')).toMatchObject({ limited: true, blockedUntil: expect.any(Date) })
    }
    await elsewhere.unblock('key')
    await elsewhere.clear('key')
    expect((await cached.check('key')).limited).toBe(false)
  },
)
