/** The timers of waiting: one for each caller who waits, none for other callers, and no warnings. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { sharedRedis, uniquePrefix } from '../support/servers/shared-redis.ts'
import { WAITERS, type Waited } from '../support/waiting/waited.ts'

// A process of its own: that of the tests has timers of others.
const PROGRAM = fileURLToPath(new URL('../support/waiting/timers-process.ts', import.meta.url))

interface Told {
  readonly inProcess: Waited
  readonly onRedis: Waited
  readonly askingAgain: Waited
  readonly warnings: readonly string[]
}

let told: Told

beforeAll(async () => {
  const { url } = await sharedRedis()
  const args = ['--import', 'tsx', PROGRAM, url, uniquePrefix()]
  // It ends by itself: no wait that is over keeps it.
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
  told = JSON.parse(stdout)
})

test.each([
  ['a turn that is promised in this process', () => told.inProcess],
  ['a turn that is promised by Redis', () => told.onRedis],
  ['asking again', () => told.askingAgain],
])('waiting for %s takes one timer for each who waits, and holds none afterwards', (_, waited) => {
  expect(waited()).toEqual({
    ...{ whileWaiting: WAITERS, started: WAITERS, afterwards: 0 },
    ...{ forYears: WAITERS, left: WAITERS, whenLeft: 0 },
  })
})

test('nobody is warned, whether one signal ends many waits or a wait is longer than a timer can be', () => {
  expect(told.warnings).toEqual([])
})
