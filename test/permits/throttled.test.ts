/** Wrapped functions hold a permit for as long as they run. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, DictionaryStore, Quota, Throttle, ThrottleExceededError, throttled } from 'onrush'
import { expect, test } from 'vitest'

function limited(count: number): Throttle {
  return new Throttle({
    limiter: new ConcurrencyLimiter({ store: new DictionaryStore() }),
    rate: Quota.concurrent(count),
  })
}

test('a wrapped function holds its permit until it has returned or failed', async () => {
  const throttle = limited(1)
  const work = throttled(throttle, { key: 'work' })(async (fails: boolean) => {
    await sleep(20)
    if (fails) throw new Error('failed')
    return 'done'
  })
  const first = work(false)
  await expect(work(false)).rejects.toThrow(ThrottleExceededError)
  expect(await first).toBe('done')
  await expect(work(true)).rejects.toThrow('failed')
  expect((await throttle.peek('work')).remaining).toBe(1)
  const sync = throttled(throttle, { key: 'sync' })(() => {
    throw new Error('failed at once')
  })
  await expect(sync()).rejects.toThrow('failed at once')
  expect((await throttle.peek('sync')).remaining).toBe(1)
})

test('sleepAndRetry waits in the queue, and 32 callers of 2 permits all come to their turn', async () => {
  const throttle = limited(2)
  let busy = 0
  let most = 0
  const work = throttled(throttle, { key: 'work' })(async (turn: number) => {
    busy++
    most = Math.max(most, busy)
    await sleep(2)
    busy--
    return turn
  })
  const turns = Array.from({ length: 32 }, (_, turn) => turn)
  expect(await Promise.all(turns.map((turn) => work.sleepAndRetry(turn)))).toEqual(turns)
  expect(most).toBe(2)
  expect((await throttle.peek('work')).remaining).toBe(2)
})
