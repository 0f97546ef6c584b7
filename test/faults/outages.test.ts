/** Redis or the way to it fails under load: every check ends in time, nothing is admitted beyond the limit, and all goes on by itself. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'

import { expectMemoryToReturn } from '../support/faults/memory.ts'
import { Scene, TIMEOUT } from '../support/faults/suite.ts'
import { expectLimit, LIMIT, under } from '../support/faults/under.ts'

expectMemoryToReturn(4_000_000)

/** ms: where no check may fail, however busy the machine is. */
const LONG = 2000

describe.concurrent.each([{ resend: false }, { resend: true }])('with resend: $resend', ({ resend }) => {
  test('a server that is killed and restarted: at most the limit again', async () => {
    await using scene = await Scene.start({ resend })
    const report = await under(scene, async (load) => {
      // By then some have been admitted.
      await load.recovered()
      await scene.server.kill()
      await sleep(300)
      await scene.server.restart()
    })
    expect(report.admitted).toBeLessThanOrEqual(2 * LIMIT)
    expect(report.admitted).toBeGreaterThan(LIMIT)
  })

  test('a server that is stopped for two seconds', async () => {
    await using scene = await Scene.start({ resend })
    const report = await under(scene, async () => {
      scene.server.pause()
      await sleep(2000)
      scene.server.resume()
    })
    expectLimit(report)
    expect(report.failures.get('StoreTimeoutError')).toBeGreaterThan(0)
  })

  test('connections that are reset again and again', async () => {
    await using scene = await Scene.start({ resend, timeout: resend ? LONG : TIMEOUT })
    const report = await under(scene, async () => {
      for (let count = 0; count < 20; count++) {
        scene.proxy.faults.resetAll()
        await sleep(50)
      }
    })
    expectLimit(report)
    if (resend) expect(report).toMatchObject({ admitted: LIMIT, failures: new Map() })
  })

  test('a black hole', async () => {
    await using scene = await Scene.start({ resend })
    const report = await under(scene, async () => {
      scene.proxy.faults.blackHole()
      await sleep(1500)
      scene.proxy.faults.pass()
    })
    expectLimit(report)
  })

  test('a connection that goes silent for ever', async () => {
    await using scene = await Scene.start({ resend, timeout: resend ? LONG : TIMEOUT })
    const report = await under(scene, async () => {
      scene.proxy.faults.dropReplies({ times: 1 })
    })
    expectLimit(report)
    if (resend) expect(report).toMatchObject({ admitted: LIMIT, failures: new Map() })
    else expect(report.failures.get('StoreTimeoutError')).toBeGreaterThan(0)
  })

  test('200 ms of latency: no check fails', async () => {
    await using scene = await Scene.start({ resend, timeout: LONG })
    const report = await under(scene, async (load) => {
      scene.proxy.faults.latency(200)
      await load.run(1000)
      scene.proxy.faults.pass()
    })
    expect(report).toMatchObject({ admitted: LIMIT, failures: new Map() })
  })

  test('replies that are lost after the script ran', async () => {
    await using scene = await Scene.start({ resend, timeout: resend ? LONG : TIMEOUT })
    const report = await under(scene, async () => {
      for (let count = 0; count < 20; count++) {
        scene.proxy.faults.dropReplies({ command: 'EVALSHA', times: 1, reset: true })
        await sleep(50)
      }
    })
    expectLimit(report)
    if (resend) expect(report).toMatchObject({ admitted: LIMIT, failures: new Map() })
    else expect(report.failures.get('StoreUnavailableError')).toBeGreaterThan(0)
  })
})
