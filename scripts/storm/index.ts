/** A storm on permits: `npm run storm -- [single | cluster | sentinel] [SECONDS] [PROCESSES]`. All three by default, of two minutes each, with four processes. */
import { storm } from './run.ts'
import { WORLDS } from './world.ts'

/** With fewer permits than these, a storm says nothing. */
const LEAST_STARTS = 500

const [, , ...given] = process.argv
const [seconds = 120, processes = 4] = given.filter((word) => /^\d+$/.test(word)).map(Number)
const named = Object.entries(WORLDS).filter(([name]) => given.includes(name))

for (const [name, start] of named.length > 0 ? named : Object.entries(WORLDS)) {
  await using world = await start()
  const report = await storm({
    world,
    prefix: 'storm',
    processes,
    count: 4,
    lease: 1000,
    duration: seconds * 1000,
    leastStarts: LEAST_STARTS,
    kills: true,
    stops: true,
    flushes: true,
    lostMessages: 0.1,
    lateCalls: 0.03,
  })
  console.log(
    `${name}: ${report.starts} permits, at most ${report.mostHeld} of 4 at once, faults: ${JSON.stringify(report.faults)}`,
  )
  for (const violation of report.violations) console.log(`VIOLATION: ${violation}`)
  if (report.starts < LEAST_STARTS) console.log(`VIOLATION: fewer than ${LEAST_STARTS} permits`)
  if (report.violations.length > 0 || report.starts < LEAST_STARTS) process.exitCode = 1
}
