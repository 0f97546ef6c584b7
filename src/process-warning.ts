/** Process warnings about setups that work otherwise than their owner may expect. docs/errors.md explains each code. */
import { helpOf } from './help.ts'

/** Emits the warning with a link to the code's section; Node prints the link below the message. */
export function warnProcess(code: string, message: string): void {
  process.emitWarning(message, { code, detail: `See ${helpOf(code)}` })
}
