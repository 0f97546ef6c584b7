/** Full calls leave while a turn still asks: each request is answered all the same, and no flood of full calls keeps others waiting. */
import {
  AlgorithmLimiter,
  DictionaryStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  type RedisStore,
  Throttle,
} from 'onrush'
import { expect, onTestFinished, test, vi } from 'vitest'
import { gcra } from '../../src/algorithms/gcra.ts'
import { layersOf } from '../../src/limiters/limiters.ts'
import { Batch } from '../../src/redis/call/batch.ts'
import { CompiledLayers } from '../../src/redis/call/layers.ts'
import { algorithms } from '../../src/redis/call/lua.generated.ts'
import { PendingCheck } from '../../src/redis/call/request.ts'
import { KEYS_IN_FLIGHT } from '../../src/redis/limits.ts'
import { BatchQueue, Node } from '../../src/redis/scheduling/queue.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

/** More than the calls in flight hold. */
const FLOOD = 1000

function planOf(store: RedisStore, limit: number): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(limit, { name: 'plan' }) })
}

test('a check that shares no call with a flood of others waits its turn, and no longer', async () => {
  const store = suite.store()
  const flood = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1_000_000) })
  const mine = new AlgorithmLimiter({ store, algorithm: { ...gcra, id: 'mine' }, lua: algorithms.gcra.implementation })
  const lone = new Throttle({ limiter: mine, rate: Quota.perDay(1000) })
  await lone.check('key')
  let answers = 0
  let isOver = false
  let asked: Promise<RateLimitResult> | undefined
  async function caller(index: number): Promise<void> {
    // The bound ends a flood that would never let the other through.
    while (!isOver && answers < 100 * FLOOD) {
      await flood.check(`${index} ${answers++}`)
      if (answers < 3 * FLOOD || asked !== undefined) continue
      asked = lone.check('key')
      asked.finally(() => {
        isOver = true
      })
    }
  }
  await Promise.all(Array.from({ length: FLOOD }, (_, index) => caller(index)))
  expect((await asked)?.limited).toBe(false)
  // As many as were in flight or waited with it, several times over.
  expect(answers).toBeLessThan(20 * FLOOD)
})

test('what is asked while a full call is being sent is answered, and so is the check that filled the call', async () => {
  const inside: Promise<RateLimitResult>[] = []
  let asks = (): void => {}
  const store = suite.store({
    clock: () => {
      asks()
      return 1_700_000_000_000_000
    },
  })
  const [small, large] = [planOf(store, 1000), planOf(store, 2000)]
  const ask = [
    // As many as fill the next call.
    () => inside.push(...Array.from({ length: 128 }, (_, index) => small.check(`inside ${index}`))),
    // Numbers that the next call cannot hold beside those of the check that filled this one.
    () => inside.push(large.check('key 128')),
  ]
  for (const again of ask) {
    asks = () => {
      asks = () => {}
      again()
    }
    const asked = Array.from({ length: 129 }, (_, index) => small.check(`key ${index}`))
    for (const { limited } of await Promise.all([...asked, ...inside])) expect(limited).toBe(false)
  }
  expect(inside).toHaveLength(129)
})

test('checks that can share no call are asked in proportion to their number', async () => {
  const store = suite.store()
  const plans = [planOf(store, 1000), planOf(store, 2000)]
  await store.ping()
  const looks = vi.spyOn(BatchQueue.prototype, 'hasRoom', 'get')
  onTestFinished(() => looks.mockRestore())
  const asked = Array.from({ length: 300 }, (_, index) => plans[index % 2]?.check('key'))
  const looked = looks.mock.calls.length
  await Promise.all(asked)
  // Were all that wait looked at for each check, forty thousand.
  expect(looked).toBeLessThan(2000)
})

test('a reply that comes when all who asked have given up does not make later calls smaller', () => {
  const node = new Node('', true)
  const queue = new BatchQueue(node, 0, '', undefined, undefined, false)
  const decider = new CompiledLayers(layersOf(new GcraLimiter({ store: new DictionaryStore() }), Quota.perDay(10)))
  const nobody = (): void => {}
  function sent(): Batch {
    for (let index = 0; index < 20; index++)
      queue.check(decider, `key ${index}`, 1, new PendingCheck(nobody, nobody, 0))
    const batch = queue.shift() ?? new Batch(queue)
    queue.send(batch)
    return batch
  }
  const late = sent()
  late.finish()
  late.answered()
  const returned = sent()
  // Another is on its way, so the node has work until those who are answered have asked again.
  sent()
  returned.answered()
  expect(node.room).toBe(KEYS_IN_FLIGHT)
})
