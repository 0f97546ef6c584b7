/** A storm on permits: `npm run storm`, or `npm run storm -- SECONDS`. Two minutes by default. */
import { setTimeout as sleep } from 'node:timers/promises'
import { startProxy } from '../../test/support/servers/proxy.ts'
import { startRedis } from '../../test/support/servers/redis.ts'
import { storm } from './run.ts'

type Faults = (typeof first)['faults']

const FAULTS: readonly [string, (faults: Faults) => void][] = [
  ['connections reset', (faults) => faults.resetAll()],
  ['replies lost', (faults) => faults.dropReplies({ times: 1, reset: true })],
  ['replies late', (faults) => faults.latency(50)],
  ['black hole', (faults) => faults.blackHole()],
]

const seconds = Number(process.argv[2] ?? 120)
await using server = await startRedis()
await using first = await startProxy(server)
await using second = await startProxy(server)
const proxies = [first, second]

const report = await storm({
  url: server.url,
  through: proxies.map(({ port }) => `redis://127.0.0.1:${port}`),
  prefix: 'storm',
  processes: 4,
  count: 4,
  lease: 1000,
  duration: seconds * 1000,
  kills: true,
  stops: true,
  flushes: true,
  fault: async () => {
    const [name, begin] = FAULTS[Math.floor(Math.random() * FAULTS.length)] ?? ['none', () => {}]
    const { faults } = Math.random() < 0.5 ? first : second
    begin(faults)
    await sleep(Math.random() * 2500)
    faults.pass()
    return name
  },
})
console.log(
  `${report.starts} permits, at most ${report.mostHeld} of 4 at once, faults: ${JSON.stringify(report.faults)}`,
)
for (const violation of report.violations) console.log(`VIOLATION: ${violation}`)
if (report.violations.length > 0) process.exitCode = 1
