/** `onrush explain`: every state of a key, in words. */
import type { Command } from 'commander'
import { encodeKey } from '../../stores/state-key.ts'
import { repeatable } from '../option-values.ts'
import { KEY_DESCRIPTION, keyIn, printable } from '../printable.ts'
import { type Cell, colorsOf, duration, jsonText, type Terminal, table, whole } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { literally } from './key-names.ts'
import { Policies } from './policies.ts'
import { START, scan } from './scan.ts'
import { LOG, type State, stateOfLog, statesIn } from './states.ts'
import { type Ticket, ticketsOf } from './tickets.ts'

interface Options extends StoreOptions {
  readonly rate: readonly string[]
  readonly json?: boolean
}

interface Explained extends State {
  readonly tickets: readonly Ticket[]
}

export function addExplain(program: Command, terminal: Terminal): void {
  const command = program
    .command('explain')
    .description(
      'tell every state of a key: used, left, when all is back, who holds permits (scans the keys of the prefix)',
    )
    .argument('<key>', KEY_DESCRIPTION, keyIn)
  addStoreOptions(command)
    .addOption(repeatable('--rate <rate>', 'a rate whose name nobody has noted'))
    .option('--json', 'print JSON')
    .action(async (key: string, options: Options) => {
      await using live = await LiveStore.open(options, terminal)
      const states = await explain(live, key, options.rate)
      terminal.stdout.write(`${options.json === true ? jsonOf(key, states) : textOf(key, states, terminal)}\n`)
    })
}

async function explain(live: LiveStore, key: string, rates: readonly string[]): Promise<Explained[]> {
  const { names, store } = live
  const policies = await Policies.of(live, rates)
  const now = await store.currentTime()
  const value = await live.value(names.value(key))
  const states: Explained[] = (value === undefined ? [] : statesIn(value, policies, now)).map((state) => ({
    ...state,
    tickets: [],
  }))
  for await (const { keys } of scan(live, START, patternOf(live, key))) {
    for (const named of keys) {
      // By the name, because the name of a long key holds only its start and a digest.
      if (!named.name.startsWith(`${names.value(key)}:`)) continue
      const policy = named.what.replace(/:set$/, '')
      const held = states.findIndex(({ name }) => name === policy)
      const state = states[held]
      if (named.what.endsWith(':set') && state !== undefined) {
        states[held] = { ...state, tickets: await ticketsOf(live, named.name) }
      } else if (named.what.startsWith(LOG)) {
        states.push({ ...(await stateOfLog(live, { ...named, key }, policies)), tickets: [] })
      }
    }
  }
  return states
}

/** With hash tags of its own choice, a store has the tag before the key. */
function patternOf({ names }: LiveStore, key: string): string {
  return names.tagsAreChosen ? `*${literally(encodeKey(key))}}` : literally(names.stem(key).slice(names.start.length))
}

function textOf(key: string, states: readonly Explained[], terminal: Terminal): string {
  if (states.length === 0) return `${printable(key)} has no state: nothing is used under any policy`
  const colors = colorsOf(terminal)
  const rows: Cell[][] = states.flatMap(({ name, result, used, keptUntil, permits, block, tickets }) => [
    [
      name,
      used === undefined || result === undefined ? '?' : `${whole(used)} of ${whole(result.limit)}`,
      result === undefined ? '?' : whole(result.remaining),
      result === undefined ? '?' : duration(result.resetAfter),
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
  return `${printable(key)}\n${shown}${hint}`
}

function wordsOf(limited: boolean | undefined, waiting: number): string[] {
  return [...(limited === true ? ['limited'] : []), ...(waiting > 0 ? [`${whole(waiting)} wait`] : [])]
}

function blockWords(block: State['block']): string[] {
  if (block === undefined) return []
  const { until, strikes } = block
  const remembered = strikes > 0 ? [`${whole(strikes)} lock-outs remembered`] : []
  return [until === undefined ? 'not blocked now' : `blocked until ${until.toISOString()}`, ...remembered]
}

function ticketText({ holder, serial, quantity, until, waits }: Ticket): string {
  const who = `holder ${holder} ticket ${serial}`
  return waits
    ? `${who} waits for ${whole(quantity)}`
    : `${who} holds ${whole(quantity)} until ${new Date(until).toISOString()} unless renewed`
}

function jsonOf(key: string, states: readonly Explained[]): string {
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
  return jsonText({ key, states: shown }, 2)
}
