/** Processes that reserve the same permits together, in crossing orders: nobody ever gets a half of what was asked for. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ConcurrencyLimiter, Quota, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const WORKER = fileURLToPath(new URL('../support/permits/pair-user.ts', import.meta.url))

const COUNT = 2
/** How many times each user of a process holds both. */
const TIMES = 8

/** The numbers of tickets of two keys at one moment. */
const SNAPSHOT = `return { redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]) }`

/** The tickets that one script has added to each of two sets. */
type Grants = readonly [one: string[], other: string[]]

test('permits of two keys are granted by one script, never more than the count, and everybody gets both in the end', async () => {
  const prefix = uniquePrefix()
  const sets = ['one', 'other'].map((key) => `${prefix}:{${key}}:concurrency:pair-15s:set`)
  const scripts = await watchScripts(sets)
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
  let most = 0
  while (!isOver) {
    const held: unknown = await suite.client.eval(SNAPSHOT, sets.length, ...sets)
    if (Array.isArray(held)) most = Math.max(most, ...held)
  }
  expect(await all).toEqual(processes.map(() => 'done'))
  expect(most).toBeLessThanOrEqual(COUNT)
  const granting = (await scripts()).filter((grants) => grants.flat().length > 0)
  expect(granting.flat(2).length).toBeGreaterThan(TIMES)
  expect(granting.filter(([one, other]) => one.toSorted().join() !== other.toSorted().join())).toEqual([])
  const limiter = new ConcurrencyLimiter({ store: suite.store({ prefix }) })
  const after = new Throttle({ limiter, rate: Quota.concurrent(COUNT, { name: 'pair' }) })
  for (const key of ['one', 'other']) expect((await after.peek(key)).remaining).toBe(COUNT)
})

/** What each script adds from now on, in the order in which the server runs the scripts; resolves when all that ran until then is seen. */
async function watchScripts(sets: readonly string[]): Promise<() => Promise<Grants[]>> {
  const scripts: Grants[] = [[[], []]]
  // A socket, because ioredis throws where a command of others follows the answer to MONITOR at once.
  const socket = connect(Number(new URL(suite.url).port), '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const marker = uniquePrefix()
  const lines = createInterface({ input: socket })
  const seen = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      const args = Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, text = '']) => text)
      if (!line.includes(' lua] "')) scripts.push([[], []])
      const grants = scripts.at(-1)?.[sets.indexOf(args[1] ?? '')]
      // ZADD key score member …
      if (args[0] === 'ZADD') grants?.push(...args.slice(2).filter((_, place) => place % 2 === 1))
      if (args.includes(marker)) resolve()
    })
  })
  socket.write('MONITOR\r\n')
  await once(lines, 'line')
  return async () => {
    await suite.client.exists(marker)
    await seen
    return scripts
  }
}
