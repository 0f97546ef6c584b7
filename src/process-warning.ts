/** Warnings of the process: of what works, but not as its owner may think. Each has a code, which docs/errors.md explains. */
import { helpOf } from './errors.ts'

/** Node prints the link to the code's section below the message. */
export function warnProcess(code: string, message: string): void {
  process.emitWarning(message, { code, detail: `See ${helpOf(code)}` })
}
