/** Processes that reserve the same permits together, in crossing orders: nobody ever sees a call half done. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ConcurrencyLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const WORKER = fileURLToPath(new URL('../support/permits/pair-user.ts', import.meta.url))

const COUNT = 2
/** How many times each user of a process holds both. */
const TIMES = 8

/** The tickets of two keys at one moment, as the server has them. */
const SNAPSHOT = `return { redis.call('ZRANGE', KEYS[1], '0', '-1'), redis.call('ZRANGE', KEYS[2], '0', '-1') }`

test('whatever is held of one key is held of the other at every moment, never more than the count, and everybody gets both in the end', async () => {
  const prefix = uniquePrefix()
  const processes = [1, 2].map(() =>
    fork(WORKER, [suite.url, prefix, String(COUNT), String(TIMES)], { execArgv: ['--import', 'tsx'] }),
  )
  await Promise.all(processes.map((one) => once(one, 'message')))
  const over = processes.map(async (one) => (await Promise.race([once(one, 'message'), once(one, 'exit')]))[0])
  let isOver = false
  const all = Promise.all(over).finally(() => {
    isOver = true
  })
  for (const one of processes) one.send('go')
  const torn: unknown[] = []
  const seen = new Set<number>()
  const sets = ['one', 'other'].map((key) => `${prefix}:{${key}}:concurrency:pair-15s:set`)
  while (!isOver) {
    const [one = [], other = []] = await tickets(sets)
    seen.add(one.length)
    if (one.length > COUNT || one.join() !== other.join()) torn.push([one, other])
  }
  expect(torn).toEqual([])
  // The watcher has seen something.
  expect(Math.max(...seen)).toBeGreaterThan(0)
  expect(await all).toEqual(processes.map(() => 'done'))
  const limiter = new ConcurrencyLimiter({ store: suite.store({ prefix }) })
  const after = new Throttle({ limiter, rate: Quota.concurrent(COUNT, { name: 'pair' }) })
  for (const key of ['one', 'other']) expect((await after.peek(key)).remaining).toBe(COUNT)
})

async function tickets(sets: readonly string[]): Promise<string[][]> {
  const reply = await suite.client.callBuffer('EVAL', SNAPSHOT, sets.length, ...sets)
  if (!Array.isArray(reply)) throw new Error('no snapshot')
  return reply.map((members: unknown) => {
    if (!Array.isArray(members)) throw new Error('no tickets')
    return members.map((member: unknown) => (member instanceof Buffer ? member.toString('hex') : '')).sort()
  })
}
