import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { sleep } from '../../src/sleep.ts'

/** Timers of this process that have not fired yet. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

test('a sleep never ends early', async () => {
  for (const milliseconds of [0.3, 1, 1.5, 2, 2.999, 5]) {
    for (let again = 0; again < 10; again++) {
      const start = performance.now()
      await sleep(milliseconds)
      expect(performance.now() - start).toBeGreaterThanOrEqual(milliseconds)
    }
  }
})

test('a sleep of nothing lets timers have their turn', async () => {
  const events: string[] = []
  const timer = setTimeout(0).then(() => events.push('timer'))
  await sleep(0)
  events.push('slept')
  await timer
  expect(events).toEqual(['timer', 'slept'])
})

test.each([2 ** 31, 2 ** 40, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
  'a sleep of %d ms, longer than a timer can be, does not end at once',
  async (milliseconds) => {
    const warnings: Error[] = []
    process.once('warning', (warning) => warnings.push(warning))
    const controller = new AbortController()
    const sleeping = sleep(milliseconds, { signal: controller.signal }).then(() => 'slept')
    expect(await Promise.race([sleeping, setTimeout(30, 'asleep')])).toBe('asleep')
    controller.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    // Node says so when it is asked for more than a timer can wait.
    expect(warnings).toEqual([])
  },
)

test('a sleep has one timer, and none when it is aborted', async () => {
  const before = timers()
  const controller = new AbortController()
  const sleeping = sleep(2 ** 40, { signal: controller.signal })
  expect(timers()).toBe(before + 1)
  controller.abort()
  expect(timers()).toBe(before)
  await expect(sleeping).rejects.toBe(controller.signal.reason)
})

test('a sleep that is aborted before it starts never starts', async () => {
  const before = timers()
  await expect(sleep(60_000, { signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
  expect(timers()).toBe(before)
})
