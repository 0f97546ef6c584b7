/** A short storm: random users in several processes, some of which are killed. `npm run storm` is longer and wilder. */
import { expect, test } from 'vitest'
import { storm } from '../../scripts/storm/run.ts'
import { worldOf } from '../../scripts/storm/world.ts'
import { startRedis } from '../support/servers/redis.ts'

test('in a storm never more hold than there are permits, the header equals the set, and no permit idles or outlives its lease', async () => {
  await using server = await startRedis()
  const report = await storm({
    world: worldOf(server),
    prefix: 'storm',
    processes: 2,
    count: 3,
    lease: 1000,
    duration: 5000,
    leastStarts: 50,
    kills: true,
    stops: false,
    flushes: false,
    lostMessages: 0.1,
  })
  expect(report.violations).toEqual([])
  expect(report.mostHeld).toBeLessThanOrEqual(3)
  expect(report.starts).toBeGreaterThanOrEqual(50)
})
