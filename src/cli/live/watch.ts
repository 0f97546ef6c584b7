/** `onrush watch`: what a store decides now, from INFO and from the keys themselves. */
import type { Command } from 'commander'
import { sleep } from '../../sleep.ts'
import { UsageError } from '../exit-codes.ts'
import { wholeNumber } from '../option-values.ts'
import { colorsOf, type Terminal, table, whole } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { Policies } from './policies.ts'
import { START, scan } from './scan.ts'
import { type Info, infoOf, numberIn, statistic } from './server-info.ts'
import { statesIn } from './states.ts'

interface Options extends StoreOptions {
  readonly count?: string
  readonly scan: string
  readonly json?: boolean
}

/** Counters of all masters since they started. */
interface Counters {
  readonly at: number
  readonly calls: number
  readonly microseconds: number
  readonly commands: number
}

interface Seen {
  /** Calls of scripts a second. One call may decide many checks. */
  readonly callsPerSecond: number
  /** Commands of all clients a second. */
  readonly commandsPerSecond: number
  /** The server's time for one call, in µs. */
  readonly serverMicroseconds: number
  /** Keys looked at, and of each policy how many have used something, and how many are limited now. */
  readonly keys: number
  readonly policies: readonly { readonly name: string; readonly used: number; readonly limited: number }[]
}

export function addWatch(program: Command, terminal: Terminal): void {
  const command = program
    .command('watch')
    .description('tell each second what a store decides: calls, the time they take, and limited keys of each policy')
  addStoreOptions(command)
    .option('--count <count>', 'end after so many lines (default: never)')
    .option('--scan <count>', 'how many keys to look at each second', '10000')
    .option('--json', 'print each second as one line of JSON')
    .action((options: Options) => watch(options, terminal))
}

async function watch(options: Options, terminal: Terminal): Promise<void> {
  const count = options.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--count', options.count, 1)
  const looked = wholeNumber('--scan', options.scan, 0)
  await using live = await LiveStore.open(options, terminal)
  let before = await countersOf(live)
  for (let line = 0; line < count; line++) {
    await sleep(1000)
    const now = await countersOf(live)
    const seen = { ...between(before, now), ...(await policiesOf(live, looked)) }
    before = now
    terminal.stdout.write(options.json === true ? `${JSON.stringify(seen)}\n` : textOf(seen, terminal))
  }
}

async function countersOf({ connection }: LiveStore): Promise<Counters> {
  const masters = await connection.masters()
  const infos = (await Promise.all(masters.map((master) => infoOf(master, 'everything')))).filter(
    (info): info is Info => info !== undefined,
  )
  if (infos.length === 0) throw new UsageError('watch needs the right to run INFO, which this user does not have')
  const sum = (of: (info: Info) => number): number => infos.reduce((total, info) => total + of(info), 0)
  return {
    at: performance.now(),
    calls: sum((info) => statistic(info, 'cmdstat_evalsha', 'calls')),
    microseconds: sum((info) => statistic(info, 'cmdstat_evalsha', 'usec')),
    commands: sum((info) => numberIn(info, 'total_commands_processed')),
  }
}

function between(
  before: Counters,
  now: Counters,
): Pick<Seen, 'callsPerSecond' | 'commandsPerSecond' | 'serverMicroseconds'> {
  const seconds = (now.at - before.at) / 1000
  const calls = now.calls - before.calls
  return {
    callsPerSecond: Math.round(calls / seconds),
    commandsPerSecond: Math.round((now.commands - before.commands) / seconds),
    serverMicroseconds: calls === 0 ? 0 : Math.round((now.microseconds - before.microseconds) / calls),
  }
}

async function policiesOf(live: LiveStore, most: number): Promise<Pick<Seen, 'keys' | 'policies'>> {
  const policies = await Policies.of(live, [])
  const now = await live.store.currentTime()
  const counts = new Map<string, { used: number; limited: number }>()
  let looked = 0
  if (most === 0) return { keys: 0, policies: [] }
  for await (const { keys } of scan(live, START)) {
    const values = keys.filter(({ what }) => what === '')
    const states = await Promise.all(
      values.map(async ({ name }) => {
        const value = await live.connection.send('GET', [name]).catch(() => undefined)
        return Buffer.isBuffer(value) ? statesIn(value, policies, now) : []
      }),
    )
    for (const { name, result } of states.flat()) {
      const count = counts.get(name) ?? { used: 0, limited: 0 }
      counts.set(name, count)
      count.used++
      if (result?.limited === true) count.limited++
    }
    looked += values.length
    if (looked >= most) break
  }
  return { keys: looked, policies: Array.from(counts, ([name, count]) => ({ name, ...count })) }
}

function textOf(seen: Seen, terminal: Terminal): string {
  const { callsPerSecond, commandsPerSecond, serverMicroseconds, keys, policies } = seen
  const head = `${whole(callsPerSecond)} calls a second, ${whole(serverMicroseconds)} µs each; ${whole(commandsPerSecond)} commands a second; ${whole(keys)} keys looked at\n`
  if (policies.length === 0) return head
  const rows = policies.map(({ name, used, limited }) => [name, whole(used), whole(limited)])
  return `${head}${table(['policy', 'keys with something used', 'limited now'], rows, colorsOf(terminal))}\n`
}
