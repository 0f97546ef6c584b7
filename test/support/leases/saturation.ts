/** Operating system processes that ask as much as they can of one key, with leases. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Outcome, ProcessReply, ProcessRequest } from './process.ts'

const PROCESS = fileURLToPath(new URL('./process.ts', import.meta.url))

export class LeasingProcess {
  readonly child: ChildProcess = fork(PROCESS, { execArgv: ['--import', 'tsx'] })

  async ask(request: ProcessRequest): Promise<Outcome> {
    const over = new AbortController()
    try {
      const answered = once(this.child, 'message', over)
      const ended = once(this.child, 'exit', over).then(([code]) => {
        throw new Error(`a process ended with code ${code}`)
      })
      this.child.send(request)
      const [reply]: readonly ProcessReply[] = await Promise.race([answered, ended])
      if (reply === undefined || 'error' in reply) throw new Error(`a process failed: ${reply?.error}`)
      return reply
    } finally {
      over.abort()
    }
  }

  stop(): void {
    this.child.disconnect()
  }
}

/** The sums of what processes have had. */
export function summed(outcomes: readonly Outcome[]): Outcome {
  return {
    admitted: outcomes.reduce((sum, { admitted }) => sum + admitted, 0),
    fromLeases: outcomes.reduce((sum, { fromLeases }) => sum + fromLeases, 0),
  }
}
