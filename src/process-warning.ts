/** Process warnings about setups that work otherwise than their owner may expect. docs/errors.md explains each code. */
import { helpOf } from './help.ts'
import { nodeProcess } from './runtime.ts'

/** Emits the warning with a link to the code's section; Node prints the link below the message. In browsers and Workers, where a process has no warnings, to the console. */
export function warnProcess(code: string, message: string): void {
  const detail = `See ${helpOf(code)}`
  if (nodeProcess?.emitWarning === undefined) console.warn(`${code}: ${message}\n${detail}`)
  else nodeProcess.emitWarning(message, { code, detail })
}
