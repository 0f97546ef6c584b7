/** `onrush block` and `onrush unblock`. */
import type { Command } from 'commander'
import type { RateLimitResult } from '../../result.ts'
import type { Throttle } from '../../throttle.ts'
import { KEY_DESCRIPTION, keyIn, printable } from '../printable.ts'
import type { Terminal } from '../terminal.ts'
import { confirm } from './confirm.ts'
import { addStoreOptions, LiveStore, type StoreOptions } from './connection.ts'
import { writeResult } from './result-report.ts'
import { addThrottleOptions, type ThrottleTextOptions, throttleOf } from './throttle-options.ts'

interface Options extends StoreOptions, ThrottleTextOptions {
  readonly yes?: boolean
  readonly json?: boolean
}

export function addBlockCommands(program: Command, terminal: Terminal): void {
  const block = program
    .command('block')
    .description('refuse everything of a key, in every process, for a time; a longer block stays as it is')
    .argument('<key>', KEY_DESCRIPTION, keyIn)
    .argument('<duration>', "how long, such as '15m' or '2 days'")
  withOptions(block).action((key: string, duration: string, options: Options) =>
    change(key, options, terminal, `Block ${printable(key)} for ${duration}?`, (throttle) =>
      throttle.block(key, duration),
    ),
  )
  const unblock = program
    .command('unblock')
    .description('lift the block of a key, and forget its lock-outs')
    .argument('<key>', KEY_DESCRIPTION, keyIn)
  withOptions(unblock).action((key: string, options: Options) =>
    change(key, options, terminal, `Unblock ${printable(key)}?`, (throttle) => throttle.unblock(key)),
  )
}

function withOptions(command: Command): Command {
  return addThrottleOptions(addStoreOptions(command)).option('--yes', 'do not ask').option('--json', 'print JSON')
}

async function change(
  key: string,
  options: Options,
  terminal: Terminal,
  question: string,
  run: (throttle: Throttle) => Promise<RateLimitResult>,
): Promise<void> {
  await using live = await LiveStore.open(options, terminal)
  const throttle = throttleOf(live.store, options)
  await confirm(question, options.yes, terminal)
  writeResult(key, await run(throttle), options.json, terminal)
}
