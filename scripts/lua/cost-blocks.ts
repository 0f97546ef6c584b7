/**
 * `npm run lua:cost:blocks`: what blocks cost Redis. In µs per check by Redis's own count (`INFO commandstats`), of a throttle without blocks, with
 * them, with lock-outs, and of keys that are blocked; the kinds take turns, and the fastest of many turns counts.
 */
import { Redis } from 'ioredis'
import { type BlocksOptions, RedisStore, Throttle } from 'onrush'
import { startRedis } from '../../test/support/servers/redis.ts'

const TURNS = 40
const ROUNDS = 50
/** Checks of a lone caller, and of many in one turn. */
const CHECKS = [1, 128]

const KINDS: readonly [name: string, blocks: boolean | BlocksOptions, isBlocked: boolean][] = [
  ['without blocks', false, false],
  ['with blocks', true, false],
  ['with lock-outs', { lockout: ['1m', '10m'] }, false],
  ['blocked', true, true],
]

await using server = await startRedis()
const client = new Redis(server.url)
const stores = KINDS.map(
  ([name]) => new RedisStore({ url: server.url, prefix: name.replaceAll(' ', '-'), timeout: '30s' }),
)
const throttles = KINDS.map(([, blocks], index) => {
  const store = stores[index]
  if (store === undefined) throw new Error('a kind has no store')
  return new Throttle({ store, rate: '1000000/minute', blocks })
})
for (const checks of CHECKS) {
  const keys = Array.from({ length: checks }, (_, index) => `user:${index}`)
  for (const [index, [, , isBlocked]] of KINDS.entries()) {
    if (isBlocked) await Promise.all(keys.map((key) => throttles[index]?.block(key, '1h')))
  }
  const fastest = KINDS.map(() => Number.POSITIVE_INFINITY)
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [index, throttle] of throttles.entries()) {
      await client.config('RESETSTAT')
      for (let round = 0; round < ROUNDS; round++) await Promise.all(keys.map((key) => throttle.check(key)))
      const [, cost] = /cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(await client.info('commandstats')) ?? []
      fastest[index] = Math.min(fastest[index] ?? 0, Number(cost) / ROUNDS / checks)
    }
  }
  const said = fastest.map((cost, index) => `${KINDS[index]?.[0]} ${cost.toFixed(2)} µs`).join(', ')
  console.log(`${checks === 1 ? 'alone' : `${checks} in one turn`}: ${said}`)
}
client.disconnect()
await Promise.all(stores.map((store) => store.close()))
