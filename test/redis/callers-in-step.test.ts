/** Callers who are all answered at once and ask again: two calls take turns, so that Redis decides one while this process makes the other. */
import { GcraLimiter, Quota, subscribe, Throttle } from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()

/** The keys of the calls that so many callers make, who each ask so many times about a key of their own. In the order of the replies. */
async function keysOfCalls(callers: number, times: number): Promise<number[]> {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store: suite.store() }), rate: Quota.perDay(1000) })
  const calls: number[] = []
  onTestFinished(subscribe('onrush:batch', ({ keys }) => calls.push(keys)))
  const ask = async (key: string) => {
    for (let time = 0; time < times; time++) await throttle.check(key)
  }
  await Promise.all(Array.from({ length: callers }, (_, index) => ask(`key ${index}`)))
  return calls
}

test('callers who are answered at once ask again in two calls, and so on in calls of that size', async () => {
  expect(await keysOfCalls(100, 4)).toEqual([100, 50, 50, 50, 50, 50, 50])
})

test('callers of whom an odd number is answered are divided too', async () => {
  expect((await keysOfCalls(33, 2)).sort((a, b) => a - b)).toEqual([16, 17, 33])
})

test('a few callers who are answered at once share a call again', async () => {
  expect(await keysOfCalls(15, 3)).toEqual([15, 15, 15])
})
