import { expect, test } from 'vitest'
import { problemDetails } from '../../src/http/index.ts'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from '../../src/index.ts'

const rate = [Quota.perMinute(2, { name: 'burst' }), Quota.perDay(5, { name: 'daily' })]

test('a refusal names the quotas that were short, and when to come again', () => {
  const limiter = new GcraLimiter({ store: new DictionaryStore({ clock: () => 1_800_000_000_000_000 }) })
  const throttle = new Throttle({ limiter, rate })
  throttle.checkSync('key', 2)
  expect(problemDetails(throttle.checkSync('key'))).toEqual({
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    title: 'Quota Exceeded',
    status: 429,
    detail: 'The same request may pass in 30 s.',
    'violated-policies': ['burst'],
  })
  expect(problemDetails(throttle.checkSync('key', 6))).toMatchObject({
    detail: 'The request asks for more than the quota allows at once.',
    'violated-policies': ['burst', 'daily'],
  })
})
