/** `onrush ls`: the keys of a store that are limited, blocked, hold permits, or have used most. */
import type { Command } from 'commander'
import { UsageError } from '../exit-codes.ts'
import { repeatable, wholeNumber } from '../option-values.ts'
import { colorsOf, duration, jsonText, percent, type Terminal, table, whole } from '../terminal.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import type { NamedKey } from './key-names.ts'
import { Policies } from './policies.ts'
import { KEYS_A_PAGE, type Position, positionIn, positionText, scan } from './scan.ts'
import { LOG, type State, stateOfLog, statesIn } from './states.ts'

interface Options extends StoreOptions {
  readonly limited?: boolean
  readonly holding?: boolean
  readonly blocked?: boolean
  readonly top?: string
  readonly limit: string
  readonly scan: string
  readonly from: string
  readonly rate: readonly string[]
  readonly json?: boolean
}

interface Listed extends State {
  readonly key: string
}

export function addList(program: Command, terminal: Terminal): void {
  const command = program
    .command('ls')
    .description('list keys that are limited, are blocked, hold permits, or have used most')
  addStoreOptions(command)
    .option('--limited', 'keys of which not even one unit can be spent now')
    .option('--blocked', 'keys that are blocked')
    .option('--holding', 'keys whose permits are held')
    .option('--top <what>', 'the keys that have most of this: used')
    .option('--limit <count>', 'how many keys to list, 1 to 10000', '20')
    .option('--scan <count>', 'how many keys of the server to look at, of whatever prefix', '100000')
    .option('--from <position>', 'go on from where the last ls ended', '0:0')
    .addOption(repeatable('--rate <rate>', 'a rate whose name nobody has noted'))
    .option('--json', 'print JSON')
    .action(async (options: Options) => {
      const { listed, next } = await list(options, terminal)
      terminal.stdout.write(`${options.json === true ? jsonOf(listed, next) : textOf(listed, next, terminal)}\n`)
    })
}

async function list(options: Options, terminal: Terminal): Promise<{ listed: Listed[]; next: Position | undefined }> {
  const { limited, holding, blocked, top } = options
  if ([limited, holding, blocked, top !== undefined].filter((one) => one === true).length !== 1) {
    throw new UsageError('give one of --limited, --blocked, --holding and --top used')
  }
  if (top !== undefined && top !== 'used') throw new UsageError(`--top must be used, got ${JSON.stringify(top)}`)
  const most = wholeNumber('--limit', options.limit, 1, 10_000)
  const looked = wholeNumber('--scan', options.scan, 1, Number.MAX_SAFE_INTEGER)
  const from = positionIn(options.from)
  await using live = await LiveStore.open(options, terminal)
  const policies = await Policies.of(live, options.rate)
  const now = await live.store.currentTime()
  const listed: Listed[] = []
  let next: Position | undefined
  let seen = 0
  for await (const page of scan(live, from)) {
    next = page.next
    seen += KEYS_A_PAGE
    for (const state of (await Promise.all(page.keys.map((key) => statesOf(live, key, policies, now)))).flat()) {
      if (isWanted(state, options)) listed.push(state)
    }
    if (top === undefined ? listed.length >= most : false) break
    if (top !== undefined && listed.length > 10 * most) keepMostUsed(listed, most)
    if (seen >= looked) break
  }
  if (top !== undefined) keepMostUsed(listed, most)
  return { listed, next }
}

function isWanted({ result, permits, block, used }: State, { limited, holding, blocked }: Options): boolean {
  if (limited === true) return result?.limited === true
  if (blocked === true) return block?.until !== undefined
  return holding === true ? (permits?.held ?? 0) > 0 : (used ?? 0) > 0
}

async function statesOf(live: LiveStore, named: NamedKey, policies: Policies, now: number): Promise<Listed[]> {
  const { key, what, name } = named
  if (what === '') {
    const value = await live.value(name)
    return value === undefined ? [] : statesIn(value, policies, now).map((state) => ({ key, ...state }))
  }
  return what.startsWith(LOG) ? [{ key, ...(await stateOfLog(live, named, policies)) }] : []
}

/** Keeps the states that have used the largest share of their limit. */
function keepMostUsed(listed: Listed[], most: number): void {
  listed.sort((a, b) => shareUsed(b) - shareUsed(a))
  listed.length = Math.min(listed.length, most)
}

function shareUsed({ used = 0, result }: State): number {
  return result === undefined || result.limit === 0 ? 0 : used / result.limit
}

function textOf(listed: readonly Listed[], next: Position | undefined, terminal: Terminal): string {
  const rows = listed.map((state) => [
    state.key,
    state.name,
    ...usedTexts(state),
    state.block?.until?.toISOString() ?? (state.result === undefined ? '?' : duration(state.result.resetAfter)),
  ])
  const shown =
    rows.length === 0
      ? 'none'
      : table(['key', 'state', 'used', '', 'all back in, or blocked until'], rows, colorsOf(terminal))
  return next === undefined ? shown : `${shown}\nThere are more keys: go on with --from ${positionText(next)}`
}

/** A block counts no units. The numbers of a policy that nobody has noted are not known. */
function usedTexts(state: Listed): [used: string, share: string] {
  const { used, result, block } = state
  if (block !== undefined) return ['-', '-']
  return used === undefined || result === undefined
    ? ['?', '?']
    : [`${whole(used)} of ${whole(result.limit)}`, percent(shareUsed(state))]
}

function jsonOf(listed: readonly Listed[], next: Position | undefined): string {
  const keys = listed.map(({ key, name, used, result, permits, block }) => ({
    key,
    name,
    used,
    limit: result?.limit,
    remaining: result?.remaining,
    resetAfter: result?.resetAfter,
    ...permits,
    blockedUntil: block?.until,
  }))
  return jsonText({ keys, next: next === undefined ? null : positionText(next) }, 2)
}
