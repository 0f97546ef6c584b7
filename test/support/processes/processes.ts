/** Several operating system processes that start at one word and compete for the same quotas. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, JobResult, Reply, Request } from './job.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

export class Processes {
  readonly #children: readonly ChildProcess[]

  /** They take about a second to start, so keep them for all tests of a file. */
  constructor(count: number) {
    this.#children = Array.from({ length: count }, () => fork(WORKER, { execArgv: ['--import', 'tsx'] }))
  }

  /** Runs the job in all processes, which start when all are connected. Returns their results in order. */
  async compete(job: Job): Promise<JobResult[]> {
    await this.#askAll({ prepare: job })
    const replies = await this.#askAll('go')
    return replies.map((reply) => {
      if (typeof reply !== 'object' || !('admitted' in reply)) throw new Error(`a process answered ${reply}`)
      return reply.admitted
    })
  }

  stop(): void {
    for (const child of this.#children) child.disconnect()
  }

  #askAll(request: Request): Promise<Reply[]> {
    return Promise.all(this.#children.map((child) => ask(child, request)))
  }
}

async function ask(child: ChildProcess, request: Request): Promise<Reply> {
  const over = new AbortController()
  try {
    const answered = once(child, 'message', over)
    const ended = once(child, 'exit', over).then(([code]) => {
      throw new Error(`a process ended with code ${code}`)
    })
    child.send(request)
    const [reply] = await Promise.race([answered, ended])
    if (typeof reply === 'object' && 'error' in reply) throw new Error(`a process failed: ${reply.error}`)
    return reply
  } finally {
    over.abort()
  }
}
