/** Asks before something is changed. */
import { createInterface } from 'node:readline/promises'
import { UsageError } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'

/**
 * @returns true if the user says yes
 * @throws UsageError if nobody can be asked, and `--yes` is not given
 */
export async function confirm(question: string, yes: boolean | undefined, terminal: Terminal): Promise<boolean> {
  if (yes === true) return true
  if (terminal.stderr.isTTY !== true) throw new UsageError(`${question} Give --yes, because nobody can be asked here`)
  const asked = createInterface({ input: terminal.stdin, output: terminal.stderr })
  try {
    return /^y(es)?$/i.test((await asked.question(`${question} [y/N] `)).trim())
  } finally {
    asked.close()
  }
}
