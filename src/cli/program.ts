/** The command line: its commands, and what their errors become. */
import { Command, CommanderError } from 'commander'
import { InvalidStoreUrlError, StoreError } from '../errors.ts'
import { addShellCompletion, completes } from './completion.ts'
import { OK, STORE, USAGE, UsageError } from './exit-codes.ts'
import { addBench } from './live/bench.ts'
import { addBlockCommands } from './live/block-commands.ts'
import { addDoctor } from './live/doctor.ts'
import { addExplain } from './live/explain.ts'
import { addKeyCommands, type Exit } from './live/key-commands.ts'
import { addList } from './live/ls.ts'
import { addWatch } from './live/watch.ts'
import { printable, printableLines } from './printable.ts'
import { addReplay } from './replay/command.ts'
import { colorsOf, type Terminal } from './terminal.ts'
import { version } from './version.ts'

const EXIT_CODES = `
Exit codes: 0 all went well, 1 the key is limited, 2 the command line or an input cannot be read, 3 the store cannot be reached.`

/** The most UTF-16 units of a message, because messages name what logs and servers hold. */
const LONGEST_MESSAGE = 2000

/** Runs a command line, such as `['replay', 'access.log']`. @returns the exit code */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let code = OK
  const program = programFor(terminal, (told) => {
    code = told
  })
  if (completes(args, program, terminal)) return OK
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return codeOf(error, terminal)
  }
}

/** @param exit is told the exit code of a command that went well */
export function programFor(terminal: Terminal, exit: Exit): Command {
  const program = new Command('onrush')
    .description('Choose rate limits by the traffic of the past, and see and change what keys may do.')
    .version(version)
    .showHelpAfterError('(onrush --help shows all commands)')
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(printableLines(text)),
    })
  addReplay(program, terminal)
  addKeyCommands(program, terminal, exit)
  addBlockCommands(program, terminal)
  addExplain(program, terminal)
  addList(program, terminal)
  addDoctor(program, terminal, exit)
  addWatch(program, terminal)
  addBench(program, terminal)
  for (const command of program.commands) command.copyInheritedSettings(program)
  addShellCompletion(program)
  return program
}

/** Tells an error without its stack. @returns the exit code */
export function codeOf(error: unknown, terminal: Terminal): number {
  // Commander has written its own message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USAGE
  const message = error instanceof Error ? error.message : String(error)
  terminal.stderr.write(`${colorsOf(terminal).red('error:')} ${printable(message, LONGEST_MESSAGE)}\n`)
  if (error instanceof StoreError) return error instanceof InvalidStoreUrlError ? USAGE : STORE
  if (error instanceof UsageError || error instanceof RangeError || error instanceof TypeError) return USAGE
  return STORE
}
