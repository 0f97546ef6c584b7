/**
 * `npm run soak [-- --minutes n]`: random faults under load, on changing keys. Ends with a report, and with exit code 1 if a check settled
 * too late or never, if more was admitted than the bound, or if heap or handles have grown.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { heapUsed } from '../../test/support/faults/heap.ts'
import { Load, type Report } from '../../test/support/faults/load.ts'
import { type FaultProxy, startProxy } from '../../test/support/servers/proxy.ts'
import { type RedisServer, startRedis } from '../../test/support/servers/redis.ts'
import { FAULTS, type SoakFault, type Target } from './faults.ts'
import { type Holdings, Tally } from './report.ts'

/** The timeout of the stores, in ms. */
const TIMEOUT = 1000
const LIMIT = 300
/** The most by which the heap (bytes) and the handles of one kind may grow: about what one connection more takes. */
const MOST_HEAP = 8_000_000
const MOST_HANDLES = 2

/** A store under test, with the proxy before its client. */
interface Subject {
  readonly name: 'once' | 'resend' | 'provided'
  readonly proxy: FaultProxy
  readonly throttle: Throttle
  close(): Promise<void>
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '2' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0 && minutes <= 60))
  throw new RangeError(`--minutes must be above 0 and at most 60, got ${values.minutes}`)

const tally = new Tally()
let rounds = 0
process.on('unhandledRejection', (reason) => tally.violations.push(`An unhandled rejection: ${String(reason)}`))
await soak(performance.now() + minutes * 60_000)
process.exitCode = tally.violations.length > 0 ? 1 : 0

async function soak(end: number): Promise<void> {
  await using server = await startRedis()
  const subjects = await Promise.all([openOnce(server), openResend(server), openProvided(server)])
  const target = { server, proxies: subjects.map(({ proxy }) => proxy) }
  try {
    // Every fault once before the first measurement, so that one-time allocations are not taken for leaks.
    for (const fault of FAULTS) await round(subjects, target, fault)
    const start = await holdings()
    while (performance.now() < end) await round(subjects, target, anyOf(FAULTS))
    const last = await holdings()
    judgeHoldings(start, last)
    tally.print(start, last)
  } finally {
    await Promise.all(subjects.map((subject) => subject.close()))
  }
}

async function openOnce(server: RedisServer): Promise<Subject> {
  const proxy = await startProxy(server)
  return subject(
    'once',
    proxy,
    new RedisStore({ url: `redis://127.0.0.1:${proxy.port}`, prefix: 'once', timeout: TIMEOUT }),
  )
}

async function openResend(server: RedisServer): Promise<Subject> {
  const proxy = await startProxy(server)
  const url = `redis://127.0.0.1:${proxy.port}?resend=true`
  return subject('resend', proxy, new RedisStore({ url, prefix: 'resend', timeout: TIMEOUT }))
}

/** A provided client with ioredis's defaults, except that it gives up silent connections. */
async function openProvided(server: RedisServer): Promise<Subject> {
  const proxy = await startProxy(server)
  const client = new Redis({ port: proxy.port, socketTimeout: TIMEOUT })
  client.on('error', () => {})
  return subject('provided', proxy, new RedisStore({ client, prefix: 'provided', timeout: TIMEOUT }), () =>
    client.disconnect(),
  )
}

function subject(name: Subject['name'], proxy: FaultProxy, store: RedisStore, end?: () => void): Subject {
  return {
    name,
    proxy,
    throttle: new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(LIMIT) }),
    async close() {
      await store.close()
      end?.()
      await proxy.stop()
    },
  }
}

/** One round: load on all stores, a fault, and recovery until the round's key has used its limit on each store. */
async function round(subjects: readonly Subject[], target: Target, fault: SoakFault): Promise<void> {
  const hotKey = `round ${rounds++}`
  tally.struck(fault.name)
  const loads = subjects.map(({ throttle }) => new Load(throttle, { timeout: TIMEOUT, hotKey, each: 4 }))
  await Promise.all(loads.map((load) => load.run(100)))
  await fault.strike(target)
  for (const [index, { name }] of subjects.entries()) {
    const load = loads[index]
    if (load === undefined) continue
    const where = `${hotKey}, ${fault.name}, ${name}`
    try {
      await load.recovered()
      await load.exhausted()
    } catch (error) {
      tally.violations.push(`${where}: ${String(error)}`)
    }
    const report = await load.end()
    load[Symbol.dispose]()
    tally.add(where, report)
    for (const violation of judge(report, fault, name)) tally.violations.push(`${where}: ${violation}`)
  }
}

function judge(
  { admitted, doubtful, failures }: Report,
  { losses, bridged }: SoakFault,
  name: Subject['name'],
): string[] {
  const most = LIMIT * (1 + losses)
  const violations: string[] = []
  if (admitted > most) violations.push(`${admitted} were admitted, at most ${most} may be`)
  // A provided client may admit fewer, because with ioredis's defaults a check may be counted twice.
  if (name !== 'provided' && admitted + doubtful < LIMIT)
    violations.push(`${admitted} were admitted, ${doubtful} in doubt`)
  if (name === 'resend' && bridged && failures.size > 0) {
    violations.push(`checks failed: ${[...failures.keys()].join(', ')}`)
  }
  return violations
}

async function holdings(): Promise<Holdings> {
  await sleep(500)
  const handles = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) handles.set(kind, (handles.get(kind) ?? 0) + 1)
  return { heap: heapUsed(), handles }
}

function judgeHoldings(start: Holdings, end: Holdings): void {
  const growth = end.heap - start.heap
  if (growth > MOST_HEAP) tally.violations.push(`The heap has grown by ${growth} bytes`)
  for (const [kind, count] of end.handles) {
    const before = start.handles.get(kind) ?? 0
    if (count > before + MOST_HANDLES)
      tally.violations.push(`There are ${count} handles of the kind ${kind}, were ${before}`)
  }
}

function anyOf<Item>(items: readonly [Item, ...Item[]]): Item {
  return items[Math.floor(Math.random() * items.length)] ?? items[0]
}
