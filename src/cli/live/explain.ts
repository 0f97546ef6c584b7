/** `onrush explain`: every state of a key, in words. */
import type { Command } from 'commander'
import { encodeKey } from '../../stores/state-key.ts'
import { repeatable, wholeNumber } from '../option-values.ts'
import { KEY_DESCRIPTION, keyIn, printable } from '../printable.ts'
import { type Cell, colorsOf, counted, duration, jsonText, type Terminal, table, whole } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { literally } from './key-names.ts'
import { Policies } from './policies.ts'
import { KEYS_A_PAGE, START, scan } from './scan.ts'
import { LOG, type State, stateOfLog, statesIn } from './states.ts'
import { type Ticket, ticketsOf } from './tickets.ts'

interface Options extends StoreOptions {
  readonly rate: readonly string[]
  readonly scan: string
  readonly json?: boolean
}

interface Explanation {
  readonly states: readonly Explained[]
  /** Whether all keys were looked at that a log of this key may be among. */
  readonly isComplete: boolean
}

interface Explained extends State {
  readonly tickets: readonly Ticket[]
}

export function addExplain(program: Command, terminal: Terminal): void {
  const command = program
    .command('explain')
    .description('tell every state of a key: used, left, when all is back, who holds permits')
    .argument('<key>', KEY_DESCRIPTION, keyIn)
  addStoreOptions(command)
    .addOption(repeatable('--rate <rate>', 'a rate whose name nobody has noted'))
    .option(
      '--scan <count>',
      'how many keys of the server to look at for logs of moving windows whose --rate is not given',
      '1000000',
    )
    .option('--json', 'print JSON')
    .action(async (key: string, options: Options) => {
      await using live = await LiveStore.open(options, terminal)
      const found = await explain(live, key, options)
      terminal.stdout.write(`${options.json === true ? jsonOf(key, found) : textOf(key, found, terminal)}\n`)
    })
}

async function explain(live: LiveStore, key: string, { rate, scan: most }: Options): Promise<Explanation> {
  const { names, store } = live
  const looked = wholeNumber('--scan', most, 0)
  const policies = await Policies.of(live, rate)
  const now = await store.currentTime()
  const start = names.value(key)
  const value = await live.value(start)
  const states: Explained[] = await Promise.all(
    (value === undefined ? [] : statesIn(value, policies, now)).map(async (state) => ({
      ...state,
      tickets: state.permits === undefined ? [] : await ticketsOf(live, `${start}:${state.name}:set`),
    })),
  )
  const logs = new Set<string>()
  const addLog = async (what: string): Promise<void> => {
    const name = `${start}:${what}`
    if (logs.has(name) || !((await live.lengthOf(name)) > 0)) return
    logs.add(name)
    states.push({ ...(await stateOfLog(live, { name, key, what }, policies)), tickets: [] })
  }
  for (const name of policies.names()) if (name.startsWith(LOG)) await addLog(name)
  // Processes note the names of small states alone.
  let seen = 0
  if (looked === 0) return { states, isComplete: false }
  for await (const { keys, next } of scan(live, START, patternOf(live, key))) {
    for (const { name, what } of keys) {
      // By the name, because the name of a long key holds only its start and a digest.
      if (name.startsWith(`${start}:`) && what.startsWith(LOG)) await addLog(what)
    }
    seen += KEYS_A_PAGE
    if (next !== undefined && seen >= looked) return { states, isComplete: false }
  }
  return { states, isComplete: true }
}

/** With hash tags of its own choice, a store has the tag before the key. */
function patternOf({ names }: LiveStore, key: string): string {
  return names.tagsAreChosen ? `*${literally(encodeKey(key))}}` : literally(names.stem(key).slice(names.start.length))
}

const UNSEEN =
  'Not all keys were looked at for logs of moving windows: give the --rate of their throttle, or a larger --scan.'

function textOf(key: string, { states, isComplete }: Explanation, terminal: Terminal): string {
  const more = isComplete
    ? ''
    : `
${UNSEEN}`
  if (states.length === 0) return `${printable(key)} has no state: nothing is used under any policy${more}`
  const colors = colorsOf(terminal)
  const rows: Cell[][] = states.flatMap(({ name, result, used, keptUntil, permits, block, tickets }) => [
    [
      name,
      used === undefined || result === undefined ? withoutNumber(block) : `${whole(used)} of ${whole(result.limit)}`,
      result === undefined ? withoutNumber(block) : whole(result.remaining),
      result === undefined ? withoutNumber(block) : duration(result.resetAfter),
      keptUntil === undefined ? '' : new Date(keptUntil).toISOString(),
      {
        text: [...wordsOf(result?.limited, permits?.waiting ?? 0), ...blockWords(block)].join(', '),
        paint: result?.limited === true || block?.until !== undefined ? colors.red : String,
      },
    ],
    ...tickets.map((ticket) => [`  ${ticketText(ticket)}`, '', '', '', '', '']),
  ])
  const shown = table(['state', 'used', 'left', 'all back in', 'kept until', ''], rows, colors)
  const unknown = states.some(({ result, block }) => result === undefined && block === undefined)
  const hint = unknown
    ? '\nA state shown by its number, or without numbers, is of a policy whose name nobody has noted: give its --rate.'
    : ''
  return `${printable(key)}\n${shown}${hint}${more}`
}

/** A block counts no units. The numbers of a policy that nobody has noted are not known. */
function withoutNumber(block: State['block']): string {
  return block === undefined ? '?' : '-'
}

function wordsOf(limited: boolean | undefined, waiting: number): string[] {
  return [...(limited === true ? ['limited'] : []), ...(waiting > 0 ? [`${whole(waiting)} wait`] : [])]
}

function blockWords(block: State['block']): string[] {
  if (block === undefined) return []
  const { until, strikes } = block
  const remembered = strikes > 0 ? [`${counted(strikes, 'lock-out')} remembered`] : []
  return [until === undefined ? 'not blocked now' : `blocked until ${until.toISOString()}`, ...remembered]
}

function ticketText({ holder, serial, quantity, until, waits }: Ticket): string {
  const who = `holder ${holder} ticket ${serial}`
  return waits
    ? `${who} waits for ${whole(quantity)}`
    : `${who} holds ${whole(quantity)} until ${new Date(until).toISOString()} unless renewed`
}

function jsonOf(key: string, { states, isComplete }: Explanation): string {
  const shown = states.map(({ name, result, used, keptUntil, permits, block, tickets }) => ({
    name,
    used,
    ...(result === undefined
      ? {}
      : {
          quota: String(result.quota),
          limit: result.limit,
          remaining: result.remaining,
          limited: result.limited,
          resetAfter: result.resetAfter,
          retryAfter: result.retryAfter,
        }),
    keptUntil: keptUntil === undefined ? undefined : new Date(keptUntil).toISOString(),
    ...(permits === undefined ? {} : { ...permits, tickets }),
    ...(block === undefined ? {} : { blockedUntil: block.until, strikes: block.strikes }),
  }))
  return jsonText({ key, states: shown, isComplete }, 2)
}
