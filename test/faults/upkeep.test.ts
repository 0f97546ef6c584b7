/** A store while checks wait: one timer, no replaced connection that answers, and no memory of checks that were given up. */
import { createHook } from 'node:async_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { blockFor } from '../support/faults/blocking.ts'
import { heapUsed } from '../support/faults/heap.ts'
import { LIMIT, sharedScene } from '../support/faults/ready.ts'

const shared = sharedScene()
const { ready, calls } = shared

describe('an event loop that is blocked for two seconds', () => {
  test('lets the reply win that came meanwhile', async () => {
    // Not through the proxy, which stands still too.
    await using throttle = await ready({}, shared.scene.server.port)
    const check = throttle.check('reply')
    await turn()
    blockFor(2000)
    expect(await check).toMatchObject({ remaining: LIMIT - 1 })
  })

  test('lets nothing be sent that was to leave before it', async () => {
    await using throttle = await ready()
    const before = await calls()
    const check = throttle.check('late')
    blockFor(2000)
    await expect(check).rejects.toMatchObject({ name: 'StoreTimeoutError', sent: false })
    expect(await calls()).toBe(before)
  })
})

test.each([{ resend: false }, { resend: true }])(
  'a store has one timer, however much is asked, with resend: $resend',
  async (choice) => {
    await using throttle = await ready({ timeout: 60_000, ...choice })
    await sleep(20)
    let timers = 0
    const hook = createHook({ init: (_id, type) => (timers += type === 'Timeout' ? 1 : 0) }).enable()
    const { signal } = new AbortController()
    const checks: Promise<unknown>[] = []
    for (let turns = 0; turns < 200; turns++) {
      checks.push(throttle.check('timer'), throttle.check(`timer ${turns}`, 1, { signal }), throttle.refund('timer'))
      await turn()
    }
    await Promise.all(checks)
    hook.disable()
    expect(timers).toBeLessThanOrEqual(1)
  },
)

test.each([{ resend: false }, { resend: true }])(
  'a connection on which replies come is kept, with resend: $resend',
  async (choice) => {
    await using throttle = await ready({ timeout: 500, ...choice })
    const connections = async () =>
      /total_connections_received:(\d+)/.exec(await shared.scene.server.information('stats'))?.[1]
    // Each of these makes one to ask.
    const before = Number(await connections())
    for (const end = performance.now() + 2000; performance.now() < end; ) {
      await Promise.all([throttle.check('fixedQuota'), throttle.check(`fixedQuota ${performance.now()}`)])
    }
    expect(Number(await connections())).toBe(before + 1)
  },
)

test('what waits in vain for a connection is not kept beyond its deadline', async () => {
  await using throttle = await ready({ timeout: 100, resend: true })
  shared.scene.proxy.faults.refuse()
  shared.scene.proxy.faults.resetAll()
  const ask = async (): Promise<void> => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5000 }, (_, index) => throttle.check(`away ${index}`)),
    )
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
  }
  await ask()
  const before = heapUsed()
  for (let round = 0; round < 4; round++) await ask()
  expect(heapUsed() - before).toBeLessThan(1_000_000)
  await shared.scene.proxy.faults.accept()
})
