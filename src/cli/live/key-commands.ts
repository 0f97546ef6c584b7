/** Commands about one key under a known rate: peek, check, clear and refund. */
import type { Command } from 'commander'
import type { RateLimitResult } from '../../result.ts'
import type { Throttle } from '../../throttle.ts'
import { LIMITED, OK } from '../exit-codes.ts'
import { wholeNumber } from '../option-values.ts'
import { KEY_DESCRIPTION, keyIn, printable } from '../printable.ts'
import type { Terminal } from '../terminal.ts'
import { confirm } from './confirm.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { writeResult } from './result-report.ts'
import { addThrottleOptions, type ThrottleTextOptions, throttleOf } from './throttle-options.ts'

interface Options extends StoreOptions, ThrottleTextOptions {
  readonly json?: boolean
  readonly yes?: boolean
}

/** Ends the command with this exit code. */
export type Exit = (code: number) => void

interface KeyCommand {
  readonly name: string
  readonly description: string
  /** The question before something is changed. `undefined`: the command only looks. */
  readonly question?: (key: string, quantity: number) => string
  readonly takesQuantity: boolean
  /** Whether a limited key ends the command with code 1. */
  readonly tells: boolean
  run(throttle: Throttle, key: string, quantity: number): Promise<RateLimitResult>
}

const COMMANDS: readonly KeyCommand[] = [
  {
    name: 'peek',
    description: 'tell what a key may do now, and spend nothing',
    takesQuantity: false,
    tells: true,
    run: (throttle, key) => throttle.peek(key),
  },
  {
    name: 'check',
    description: 'spend units of a key, as a request would',
    question: (key, quantity) => `Spend ${quantity} of ${key}?`,
    takesQuantity: true,
    tells: true,
    run: (throttle, key, quantity) => throttle.check(key, quantity),
  },
  {
    name: 'clear',
    description: 'forget what a key has used',
    question: (key) => `Forget what ${key} has used?`,
    takesQuantity: false,
    tells: false,
    run: (throttle, key) => throttle.clear(key),
  },
  {
    name: 'refund',
    description: 'give units back to a key, at most as many as it has used',
    question: (key, quantity) => `Give ${quantity} back to ${key}?`,
    takesQuantity: true,
    tells: false,
    run: (throttle, key, quantity) => throttle.refund(key, quantity),
  },
]

export function addKeyCommands(program: Command, terminal: Terminal, exit: Exit): void {
  for (const command of COMMANDS) addKeyCommand(program, command, terminal, exit)
}

function addKeyCommand(program: Command, command: KeyCommand, terminal: Terminal, exit: Exit): void {
  const { name, description, takesQuantity, question } = command
  const added = program.command(name).description(description).argument('<key>', KEY_DESCRIPTION, keyIn)
  if (takesQuantity) added.argument('[quantity]', 'units', '1')
  addThrottleOptions(addStoreOptions(added)).option('--json', 'print JSON')
  if (question !== undefined) added.option('--yes', 'do not ask')
  added.action(async (key: string, ...rest: unknown[]) => {
    const quantity = takesQuantity ? wholeNumber('quantity', String(rest[0]), 0) : 1
    await run(command, key, quantity, added.opts<Options>(), terminal, exit)
  })
}

async function run(
  { question, run: decide, tells }: KeyCommand,
  key: string,
  quantity: number,
  options: Options,
  terminal: Terminal,
  exit: Exit,
): Promise<void> {
  await using live = await LiveStore.open(options, terminal)
  const throttle = throttleOf(live.store, options)
  if (question !== undefined) await confirm(question(printable(key), quantity), options.yes, terminal)
  const result = await decide(throttle, key, quantity)
  writeResult(key, result, options.json, terminal)
  exit(tells && result.limited ? LIMITED : OK)
}
