#!/usr/bin/env node
/** The command `onrush`. */
import picocolors from 'picocolors'
import { codeOf, run } from './program.ts'

const terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  colors: picocolors.isColorSupported,
}

// A reader that has seen enough, such as `head`, closes the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : codeOf(error, terminal))
})
// Without this, Node exits with 1, which says that the key is limited.
process.on('uncaughtException', (error) => process.exit(codeOf(error, terminal)))
process.exitCode = await run(process.argv.slice(2), terminal)
// Standard input that is not read to its end would keep the process alive.
process.stdin.destroy()
