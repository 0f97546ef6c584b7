/** Several processes that do the same tasks at the same time, as the instances of a service do. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Recruit, TaskName, Tasks } from './tasks.ts'

const PROGRAM = fileURLToPath(new URL('./crew-process.ts', import.meta.url))

export class Crew implements AsyncDisposable {
  readonly #processes: readonly ChildProcess[]

  private constructor(processes: readonly ChildProcess[]) {
    this.#processes = processes
  }

  static async start(size: number): Promise<Crew> {
    const processes = Array.from({ length: size }, () => fork(PROGRAM))
    await Promise.all(processes.map(message))
    return new Crew(processes)
  }

  /** Sets the contestant up in all processes. */
  async open(recruit: Recruit): Promise<void> {
    await this.perform<'open'>(this.#processes.length, () => ({ name: 'open', recruit }))
  }

  /** Has the first `count` processes do a task at the same time. `taskOf` makes the task for each process by its index. */
  async perform<Name extends TaskName>(
    count: number,
    taskOf: (place: number) => Tasks[Name]['task'],
  ): Promise<Tasks[Name]['answer'][]> {
    const processes = this.#processes.slice(0, count)
    const answers = Promise.all(processes.map(message))
    for (const [place, child] of processes.entries()) child.send(JSON.stringify(taskOf(place)))
    return (await answers).map((text) => JSON.parse(text))
  }

  /** Has the first process do a task. */
  async ask<Name extends TaskName>(task: Tasks[Name]['task']): Promise<Tasks[Name]['answer']> {
    const [answer] = await this.perform<Name>(1, () => task)
    if (answer === undefined) throw new Error('The crew has no process')
    return answer
  }

  /** Kills all processes by SIGKILL; their tasks reject. */
  kill(): void {
    for (const child of this.#processes) child.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#processes.map(async (child) => {
        if (child.signalCode !== null) return
        const exit = once(child, 'exit')
        child.disconnect()
        await exit
      }),
    )
  }
}

/** The next message of a process. @throws Error if the process exits instead; stderr says why. */
async function message(child: ChildProcess): Promise<string> {
  const ended = new AbortController()
  const end = (code: number | null): void => ended.abort(new Error(`A process of the crew ended with code ${code}`))
  child.once('exit', end)
  try {
    const [text] = await once(child, 'message', { signal: ended.signal })
    return String(text)
  } catch (error) {
    throw ended.signal.reason ?? error
  } finally {
    child.off('exit', end)
  }
}
