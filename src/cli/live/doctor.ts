/** `onrush doctor`: the properties of a store that would harm its limits, with advice. */
import type { Command } from 'commander'
import { Throttle } from '../../throttle.ts'
import { OK, STORE } from '../exit-codes.ts'
import { colorsOf, duration, jsonText, percent, type Terminal, table } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import type { Exit } from './key-commands.ts'
import { type Info, infoOf, numberIn } from './server-info.ts'

type Verdict = 'good' | 'warning' | 'bad' | 'unknown'

interface Finding {
  readonly what: string
  readonly verdict: Verdict
  readonly found: string
  /** The advice to the operator. '': none is needed. */
  readonly advice: string
}

/** The oldest server whose commands the scripts need. */
const OLDEST = [6, 2]
/** Policies that do not evict keys that still count before others. */
const SAFE_POLICIES = /^(noeviction|allkeys-lfu|volatile-lfu)$/

export function addDoctor(program: Command, terminal: Terminal, exit: Exit): void {
  const command = program
    .command('doctor')
    .description('tell what of a store would hurt: server, memory, rights, clock, latency, and what to do')
  addStoreOptions(command)
    .option('--json', 'print JSON')
    .action(async (options: StoreOptions & { json?: boolean }) => {
      await using live = await LiveStore.open(options, terminal)
      const findings = await examine(live)
      if (options.json === true) terminal.stdout.write(`${jsonText(findings, 2)}\n`)
      else terminal.stdout.write(`${report(live, findings, terminal)}\n`)
      exit(findings.some(({ verdict }) => verdict === 'bad') ? STORE : OK)
    })
}

function report({ shownUrl, prefix }: LiveStore, findings: readonly Finding[], terminal: Terminal): string {
  const colors = colorsOf(terminal)
  const paint = { good: colors.green, warning: colors.yellow, bad: colors.red, unknown: colors.dim }
  const rows = findings.map(({ what, verdict, found }) => [{ text: verdict, paint: paint[verdict] }, what, found])
  const advice = findings.filter((one) => one.advice !== '').map((one) => `${one.what}: ${one.advice}`)
  return [`${shownUrl}, prefix ${prefix}`, table(['', 'what', 'found'], rows, colors), ...advice].join('\n')
}

async function examine(live: LiveStore): Promise<Finding[]> {
  const { connection } = live
  const masters = await connection.masters()
  const infos = await Promise.all(masters.map((master) => infoOf(master)))
  const info = infos[0]
  return [
    await scripts(live),
    ...(info === undefined ? [unknown('server', 'INFO is not allowed')] : servers(infos)),
    ...(await clock(live)),
    await rights(live),
    await latency(live),
  ]
}

function servers(infos: readonly (Info | undefined)[]): Finding[] {
  return infos.flatMap((info, index) => {
    if (info === undefined) return [unknown(`server ${index + 1}`, 'INFO is not allowed')]
    const which = infos.length > 1 ? ` of node ${index + 1}` : ''
    return [
      version(info, which),
      role(info, which),
      cluster(info, which),
      eviction(info, which),
      memory(info, which),
      clients(info, which),
    ]
  })
}

function version(info: Info, which: string): Finding {
  const valkey = info.get('valkey_version')
  const redis = info.get('redis_version') ?? '0'
  const [major = 0, minor = 0] = redis.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST
  const isOld = valkey === undefined && (major < oldestMajor || (major === oldestMajor && minor < oldestMinor))
  const what = `server${which}`
  const found = valkey === undefined ? `Redis ${redis}` : `Valkey ${valkey}`
  return isOld
    ? { what, verdict: 'bad', found, advice: `use Redis ${OLDEST.join('.')} or later, or Valkey` }
    : good(what, found)
}

function role(info: Info, which: string): Finding {
  const what = `role${which}`
  const found = info.get('role') ?? 'unknown'
  if (found !== 'slave') return good(what, found)
  return {
    what,
    verdict: 'bad',
    found: 'replica',
    advice: 'give the URL of the primary, or of the sentinels, because a replica refuses writes',
  }
}

function cluster(info: Info, which: string): Finding {
  return good(`cluster${which}`, info.get('cluster_enabled') === '1' ? 'yes' : 'no')
}

function eviction(info: Info, which: string): Finding {
  const what = `eviction policy${which}`
  const found = info.get('maxmemory_policy') ?? 'unknown'
  if (SAFE_POLICIES.test(found)) return good(what, found)
  return {
    what,
    verdict: 'warning',
    found,
    advice: 'when memory is full, a limited key may be evicted, and starts afresh: use noeviction, or an LFU policy',
  }
}

function memory(info: Info, which: string): Finding {
  const what = `memory${which}`
  const [used, most] = [numberIn(info, 'used_memory'), numberIn(info, 'maxmemory')]
  if (most === 0) return good(what, `${megabytes(used)} used, no maximum`)
  const found = `${percent(used / most)} of ${megabytes(most)} used`
  if (used < 0.9 * most) return good(what, found)
  return {
    what,
    verdict: 'warning',
    found,
    advice: 'raise maxmemory, because a full server refuses writes or evicts states',
  }
}

function clients(info: Info, which: string): Finding {
  const what = `clients${which}`
  const [connected, most] = [numberIn(info, 'connected_clients'), numberIn(info, 'maxclients')]
  const found = `${connected} of ${most}`
  if (most === 0 || connected < 0.9 * most) return good(what, found)
  return { what, verdict: 'warning', found, advice: 'raise maxclients, because a further process cannot connect' }
}

/** Whether scripts run: a peek of a key that nobody has. */
async function scripts({ store }: LiveStore): Promise<Finding> {
  const what = 'decisions'
  try {
    await new Throttle({ store, rate: '1/second' }).peek(`onrush doctor ${Math.random()}`)
    return good(what, 'scripts run')
  } catch (error) {
    const advice = 'see docs/security.md for the rights that a limiter needs, and docs/errors.md for this error'
    return { what, verdict: 'bad', found: error instanceof Error ? error.message : String(error), advice }
  }
}

/** How far this machine's clock is from the server's. Decisions go by the server's clock alone. */
async function clock({ connection }: LiveStore): Promise<Finding[]> {
  try {
    const before = Date.now()
    const reply = await connection.send('TIME', [])
    const after = Date.now()
    const [seconds = 0, microseconds = 0] = Array.isArray(reply) ? reply.map((part) => Number(String(part))) : []
    const offset = seconds * 1000 + microseconds / 1000 - (before + after) / 2
    const found = `${Math.abs(offset) < 1 ? '0ms' : duration(Math.abs(offset))} ${offset < 0 ? 'behind' : 'ahead of'} this machine`
    if (Math.abs(offset) < 1000) return [good('clock', found)]
    const advice = 'decisions go by the server’s clock alone, but times that are shown differ: run NTP on both'
    return [{ what: 'clock', verdict: 'warning', found, advice }]
  } catch {
    return [unknown('clock', 'TIME is not allowed')]
  }
}

/** Commands that a limiter runs, with arguments that a dry run accepts. */
const NEEDED = ['GET', 'SET', 'MGET', 'SETRANGE', 'DEL', 'PEXPIRE'] as const

async function rights({ connection, names }: LiveStore): Promise<Finding> {
  const what = 'rights'
  try {
    const user = String(await connection.send('ACL', ['WHOAMI']))
    const key = names.value('onrush doctor')
    const given: Record<(typeof NEEDED)[number], string[]> = {
      GET: [key],
      SET: [key, '1'],
      MGET: [key],
      SETRANGE: [key, '0', '1'],
      DEL: [key],
      PEXPIRE: [key, '1'],
    }
    const replies = await Promise.all(
      NEEDED.map(async (name) => ({
        name,
        reply: String(await connection.send('ACL', ['DRYRUN', user, name, ...given[name]])),
      })),
    )
    const missing = replies.filter(({ reply }) => reply !== 'OK').map(({ name }) => name)
    if (missing.length === 0) return good(what, `${user} may read and write`)
    const advice = `checks need ${missing.join(', ')}: see docs/security.md for the line of an ACL. Reading needs no more`
    return { what, verdict: 'warning', found: `${user} may only read`, advice }
  } catch {
    return unknown(what, 'ACL is not allowed, or the server is older than 7.0')
  }
}

const PINGS = 20

async function latency({ store }: LiveStore): Promise<Finding> {
  const throttle = new Throttle({ store, rate: '1/second' })
  const times: number[] = []
  try {
    for (let index = 0; index < PINGS; index++) {
      const since = performance.now()
      await throttle.peek(`onrush doctor ${index}`)
      times.push(performance.now() - since)
    }
  } catch {
    return unknown('latency', 'no decision came')
  }
  times.sort((a, b) => a - b)
  const [median = 0, longest = 0] = [times[PINGS / 2], times.at(-1)]
  const found = `${median.toFixed(2)} ms a decision (median), ${longest.toFixed(2)} ms the longest of ${PINGS}`
  if (median < 10) return good('latency', found)
  const advice = 'a request waits this long for its decision: move the store nearer, or decide without a round trip'
  return { what: 'latency', verdict: 'warning', found, advice }
}

function good(what: string, found: string): Finding {
  return { what, verdict: 'good', found, advice: '' }
}

function unknown(what: string, found: string): Finding {
  return { what, verdict: 'unknown', found, advice: '' }
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`
}
