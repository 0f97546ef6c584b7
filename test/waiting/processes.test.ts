/** Four processes wait in one queue: first come first served over all of them, with one call to Redis for each who waits. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { RedisStore, type Throttle } from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { until } from '../support/servers/until.ts'
import { close, DISTANCE, placesTaken, queueOn, sharedClock, type Waiter, waiterOf } from '../support/waiting/queue.ts'
import type { Outcome, Task } from '../support/waiting/worker.ts'

const WORKER = fileURLToPath(new URL('../support/waiting/worker.ts', import.meta.url))
const PROCESSES = 4
const PREFIX = 'waiting'
/** ms: clocks of one machine may be that far apart in a minute. */
const DRIFT = 1

let server: RedisServer
let client: Redis
let store: RedisStore
let queue: Throttle
let processes: ChildProcess[]

beforeAll(async () => {
  server = await startRedis()
  client = new Redis(server.url)
  store = new RedisStore({ url: server.url, prefix: PREFIX, timeout: 20_000 })
  queue = queueOn(store)
  processes = Array.from({ length: PROCESSES }, () =>
    fork(WORKER, [server.url, PREFIX], { execArgv: ['--import', 'tsx'] }),
  )
  await Promise.all(processes.map((child) => once(child, 'message')))
})

afterAll(async () => {
  for (const child of processes ?? []) if (child.connected) child.disconnect()
  await store?.close()
  client?.disconnect()
  await server?.stop()
})

async function perform(child: ChildProcess, task: Task): Promise<Outcome> {
  const answer = once(child, 'message')
  child.send(task)
  const [outcome] = await answer
  return outcome
}

async function scriptsRun(): Promise<number> {
  const statistics = await client.info('commandstats')
  return [...statistics.matchAll(/cmdstat_(?:evalsha|eval):calls=(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0)
}

/** By the order in which Redis admitted them. */
function inOrder(outcomes: readonly Outcome[]): Waiter[] {
  return outcomes.flatMap(({ waited }) => waited).sort((a, b) => a.place - b.place)
}

/** Redis decides after it was asked, so nobody's turn comes earlier than this. */
function earliest({ asked, wait }: Waiter): number {
  return asked + wait
}

/** All starts lie at least the distance apart from those that were admitted before, as early as these may have been. */
function expectInTurn(waiters: readonly Waiter[]): void {
  let before = Number.NEGATIVE_INFINITY
  let shortest = Number.POSITIVE_INFINITY
  for (const waiter of waiters) {
    expect(waiter.started).toBeGreaterThanOrEqual(earliest(waiter))
    expect(waiter.started).toBeGreaterThan(before + waiter.place * DISTANCE - DRIFT)
    // A caller admitted later is promised a wait that is longer by no more than the distance.
    expect(waiter.wait - waiter.place * DISTANCE).toBeLessThan(shortest + 0.001)
    before = Math.max(before, earliest(waiter) - waiter.place * DISTANCE)
    shortest = waiter.wait - waiter.place * DISTANCE
  }
}

test('800 waiters of 4 processes start in the order in which Redis admitted them, each after one call at most', async () => {
  const waiters = 200
  await close(queue, 'all', 500)
  const first = placesTaken(await queue.peek('all')) + 1
  const before = await scriptsRun()
  const outcomes = await Promise.all(processes.map((child) => perform(child, { key: 'all', waiters })))
  const calls = (await scriptsRun()) - before
  const waited = inOrder(outcomes)

  expect(waited.map(({ place }) => place)).toEqual(Array.from({ length: 4 * waiters }, (_, index) => first + index))
  expectInTurn(waited)
  expect(outcomes.map(({ decisions }) => decisions)).toEqual([waiters, waiters, waiters, waiters])
  // Those who ask in one turn share calls.
  expect(calls).toBeLessThan(waiters)
})

test('when half of the waiters are killed, the others start in their turn, and what is asked afterwards goes on behind', async () => {
  const waiters = 10
  await close(queue, 'half', 1000)
  const taken = async () => placesTaken(await queue.peek('half'))
  const before = await taken()
  const outcomes = processes.slice(0, 2).map((child) => perform(child, { key: 'half', waiters }))
  const killed = processes.slice(2)
  for (const child of killed) child.send({ key: 'half', waiters })
  await until('all turns to be promised', async () => (await taken()) >= before + PROCESSES * waiters)
  const gone = killed.map((child) => once(child, 'exit'))
  for (const child of killed) child.kill('SIGKILL')
  await Promise.all(gone)

  const asked = sharedClock()
  const result = await queue.acquire('half')
  const last = waiterOf(result, asked, sharedClock())
  const waited = inOrder(await Promise.all(outcomes))
  expect(waited).toHaveLength(2 * waiters)
  expectInTurn([...waited, last])
})
