/** Asks before something is changed. */
import { createInterface } from 'node:readline/promises'
import { UsageError } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'

/** @throws UsageError if the answer is not yes, or nobody can be asked and `--yes` is not given */
export async function confirm(question: string, yes: boolean | undefined, terminal: Terminal): Promise<void> {
  if (yes === true) return
  if (terminal.stderr.isTTY !== true) throw new UsageError(`${question} Give --yes, because nobody can be asked here`)
  const asked = createInterface({ input: terminal.stdin, output: terminal.stderr })
  // The end of input answers nothing, and Ctrl+C and Ctrl+D reject.
  const ended = new Promise<string>((resolve) => asked.once('close', () => resolve('')))
  try {
    const answer = await Promise.race([asked.question(`${question} [y/N] `), ended]).catch(() => '')
    if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError('nothing was changed, because the answer was not yes')
  } finally {
    asked.close()
  }
}
