/** `onrush watch`: what a store decides now, from INFO and from the keys themselves. */
import type { Command } from 'commander'
import { sleep } from '../../sleep.ts'
import { wholeNumber } from '../option-values.ts'
import { colorsOf, counted, jsonText, type Terminal, table, whole } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { countersOf, type Rates, ratesBetween } from './counters.ts'
import { type Look, Spending } from './spending.ts'

interface Options extends StoreOptions {
  readonly count?: string
  readonly scan: string
  readonly json?: boolean
}

interface Seen extends Rates, Pick<Look, 'keys' | 'hasMore'> {
  /** How long the store takes to answer this process, in ms. */
  readonly roundTrip: number
  readonly policies: readonly {
    readonly name: string
    readonly used: number
    readonly limited: number
    readonly spentPerSecond: number
  }[]
}

const MEANING = `
Decisions are counted by the keys that commands looked up, from INFO. Identical checks that shared a call count once. Refused are those of the
keys that were not written, so at most as many: a peek writes none either. Other programs on this server that read and write keys are counted too.
Units spent are seen in the states of the keys looked at, and are at least as many: of a key that was whole again meanwhile, only the units since.
Redis stores no refusals, so they are not told by policy: the metrics of onrush/opentelemetry tell them. Checks that a process answers by
itself, from a lease or from its memory of refusals, never reach the server. Units that a process leases are spent at once.`

export function addWatch(program: Command, terminal: Terminal): void {
  const command = program
    .command('watch')
    .description(
      'tell each second what a store decides: decisions, refusals, calls, the time they take, and limited keys and units spent of each policy',
    )
  addStoreOptions(command)
    .option('--count <count>', 'end after so many lines (default: never)')
    .option('--scan <count>', 'how many keys of the server to look at each second, of whatever prefix', '10000')
    .option('--json', 'print each second as one line of JSON')
    .addHelpText('after', MEANING)
    .action((options: Options) => watch(options, terminal))
}

async function watch(options: Options, terminal: Terminal): Promise<void> {
  const count = options.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--count', options.count, 1)
  const most = wholeNumber('--scan', options.scan, 0)
  await using live = await LiveStore.open(options, terminal)
  const spending = new Spending(live, most)
  await spending.look()
  for (let line = 0; line < count; line++) {
    // Between the two readings no keys are looked at, because that too is counted.
    const before = await countersOf(live)
    await sleep(1000)
    const rates = ratesBetween(before, await countersOf(live))
    const roundTrip = await roundTripOf(live)
    const { seconds, policies, ...look } = await spending.look()
    const perSecond = policies.map(({ spent, ...use }) => ({
      ...use,
      spentPerSecond: seconds > 0 ? Math.round(spent / seconds) : 0,
    }))
    const seen: Seen = { ...rates, roundTrip, ...look, policies: perSecond }
    terminal.stdout.write(options.json === true ? `${jsonText(seen)}\n` : textOf(seen, terminal))
  }
}

async function roundTripOf({ connection }: LiveStore): Promise<number> {
  const since = performance.now()
  await connection.send('PING', [])
  return Number((performance.now() - since).toFixed(3))
}

function textOf(seen: Seen, terminal: Terminal): string {
  const { decisionsPerSecond, refusedPerSecond, callsPerSecond, failedPerSecond, serverMicroseconds } = seen
  const { commandsPerSecond, roundTrip, keys, hasMore, policies } = seen
  const parts = [
    `${whole(decisionsPerSecond)} decisions a second, of them at most ${whole(refusedPerSecond)} refused`,
    `${whole(callsPerSecond)} calls a second, ${whole(serverMicroseconds)} µs each${failedPerSecond > 0 ? `, ${whole(failedPerSecond)} failed` : ''}`,
    `${whole(commandsPerSecond)} commands a second`,
    `round trip ${roundTrip} ms`,
    `${counted(keys, 'key')} looked at${hasMore ? ' of more' : ''}`,
  ]
  const head = `${parts.join('; ')}\n`
  if (policies.length === 0) return head
  const rows = policies.map(({ name, used, limited, spentPerSecond }) => [
    name,
    whole(used),
    whole(limited),
    whole(spentPerSecond),
  ])
  const shown = table(['policy', 'keys in use', 'limited now', 'units spent a second'], rows, colorsOf(terminal))
  return `${head}${shown}\n`
}
