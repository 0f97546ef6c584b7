/** `onrush block` and `onrush unblock`. */
import type { Command } from 'commander'
import type { RateLimitResult } from '../../result.ts'
import { KEY_DESCRIPTION, keyIn, printable } from '../printable.ts'
import { colorsOf, jsonText, type Terminal } from '../terminal.ts'
import { confirm } from './confirm.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { Policies } from './policies.ts'
import { resultFields, resultText } from './result-report.ts'
import { statesIn } from './states.ts'
import { addThrottleOptions, blockerOf, type ThrottleTextOptions } from './throttle-options.ts'

interface Options extends StoreOptions, ThrottleTextOptions {
  readonly yes?: boolean
  readonly json?: boolean
}

/** A block of a key that lasts under another name. */
interface OtherBlock {
  readonly name: string
  readonly until: Date
}

export function addBlockCommands(program: Command, terminal: Terminal): void {
  const block = program
    .command('block')
    .description('refuse everything of a key, in every process, for a time; a longer block stays as it is')
    .argument('<key>', KEY_DESCRIPTION, keyIn)
    .argument('<duration>', "how long, such as '15m' or '2 days'")
  withOptions(block).action(async (key: string, duration: string, options: Options) => {
    await using live = await LiveStore.open(options, terminal)
    const throttle = blockerOf(live.store, options)
    await confirm(`Block ${printable(key)} for ${duration}?`, options.yes, terminal)
    write(key, await throttle.block(key, duration), options, terminal)
  })
  const unblock = program
    .command('unblock')
    .description('lift the block of a key, and forget its lock-outs; what the key has used stays used')
    .argument('<key>', KEY_DESCRIPTION, keyIn)
  withOptions(unblock).action(async (key: string, options: Options) => {
    await using live = await LiveStore.open(options, terminal)
    const throttle = blockerOf(live.store, options)
    await confirm(`Unblock ${printable(key)}?`, options.yes, terminal)
    write(key, await throttle.unblock(key), options, terminal, await blocksOf(live, key))
  })
}

function withOptions(command: Command): Command {
  return addThrottleOptions(addStoreOptions(command)).option('--yes', 'do not ask').option('--json', 'print JSON')
}

async function blocksOf(live: LiveStore, key: string): Promise<OtherBlock[]> {
  const value = await live.value(live.names.value(key))
  if (value === undefined) return []
  const states = statesIn(value, await Policies.of(live, []), await live.store.currentTime())
  return states.flatMap(({ name, block }) => (block?.until === undefined ? [] : [{ name, until: block.until }]))
}

function write(
  key: string,
  result: RateLimitResult,
  options: Options,
  terminal: Terminal,
  others: readonly OtherBlock[] = [],
): void {
  const shown =
    options.json === true ? jsonOf(key, result, options, others) : textOf(key, result, options, others, terminal)
  terminal.stdout.write(`${shown}\n`)
}

/** Without a rate, the numbers of the result are those of no quota of the program. */
function textOf(
  key: string,
  result: RateLimitResult,
  { rate }: Options,
  others: readonly OtherBlock[],
  terminal: Terminal,
): string {
  const colors = colorsOf(terminal)
  const { blockedUntil } = result
  const state =
    blockedUntil === undefined
      ? colors.green('is not blocked under this name')
      : colors.red(`is blocked until ${blockedUntil.toISOString()}`)
  const first = rate.length > 0 ? resultText(key, result, colors) : `${printable(key)} ${state}`
  const rest = others.map(
    ({ name, until }) =>
      `${printable(key)} is still blocked until ${until.toISOString()} by ${printable(name)}: give ${printable(nameOption(name))} to lift that`,
  )
  return [first, ...rest].join('\n')
}

/** Of a block whose name nobody has noted, only the number is known. */
function nameOption(name: string): string {
  return name.startsWith(NOTED) ? `--name '${name.slice(NOTED.length)}'` : 'its --name'
}

const NOTED = 'block:'

function jsonOf(key: string, result: RateLimitResult, { rate }: Options, others: readonly OtherBlock[]): string {
  const { limited, blockedUntil } = result
  const fields = rate.length > 0 ? resultFields(key, result) : { key, limited, blockedUntil }
  return jsonText({ ...fields, ...(others.length === 0 ? {} : { stillBlocked: others }) }, 2)
}
