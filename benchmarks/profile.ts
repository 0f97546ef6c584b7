/**
 * Records a profile of one contestant, to be opened in the developer tools of Chrome or VS Code:
 * `npx tsx benchmarks/profile.ts onrush --keys 10000 --in-flight 512`. Uses `dist` as it is, without a build.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { parseArgs } from 'node:util'
import { startCluster } from '../test/support/servers/cluster.ts'
import { startRedis } from '../test/support/servers/redis.ts'
import { CONTESTANTS, type ContestantName } from './contestants.ts'
import { costPerDecision, measurementOf } from './harness/compare.ts'
import { keysOf } from './harness/keys.ts'
import { drive, summaryOf } from './harness/load.ts'
import { ServerMeter } from './harness/server-meter.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keys: { type: 'string', default: '10000' },
    'in-flight': { type: 'string', default: '512' },
    limit: { type: 'string', default: '20000' },
    /** Checks before the profile, and as many during it. */
    checks: { type: 'string', default: '500000' },
    /** Above 1: a cluster of so many masters. */
    masters: { type: 'string', default: '1' },
    output: { type: 'string', default: 'benchmark.cpuprofile' },
  },
})

const name = positionals[0] ?? 'onrush'
if (!isContestant(name)) {
  throw new RangeError(`The contestant must be one of ${Object.keys(CONTESTANTS).join(', ')}; got ${name}`)
}

const masters = Number(values.masters)
await using servers = masters > 1 ? await startCluster({ masters, replicas: 0 }) : undefined
await using single = servers === undefined ? await startRedis() : undefined
const redis = single ?? servers?.nodes[0]?.server
if (redis === undefined) throw new Error('no server was started')
const ports = servers?.addresses.map(({ port }) => port) ?? [redis.port]
await using meter = new ServerMeter(ports)
const setting = { ports, limit: Number(values.limit), period: 86_400_000 }
await using contestant = await CONTESTANTS[name](setting)
const keys = keysOf({ kind: 'uniform', count: Number(values.keys) })
const load = { contestant, keys, inFlight: Number(values['in-flight']), count: Number(values.checks) }
await drive(load)

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 200 })
await redis.command('CONFIG', 'RESETSTAT')
await session.post('Profiler.start')
const { result, cost } = await meter.measure(() => drive(load))
const { profile } = await session.post('Profiler.stop')
writeFileSync(values.output, JSON.stringify(profile))

console.log({ ...measurementOf(summaryOf(result)), ...costPerDecision(cost, result.decisions) })
// Commands called by scripts appear here on their own, and in the time of the scripts as well.
console.log(String(await redis.command('INFO', 'commandstats')))

function isContestant(text: string): text is ContestantName {
  return text in CONTESTANTS
}
