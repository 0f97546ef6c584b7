/** Processes that count one calendar quota in one Redis, each with a clock and data of time zones of its own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** What is wrong about a process. */
export interface Mistakes {
  /** How far its clocks are ahead of the true time, in ms. */
  readonly ahead: number
  /** Whether its data of time zones are wrong. */
  readonly shiftsZones: boolean
}

export interface Job {
  readonly url: string
  readonly prefix: string
  /** The class name of a limiter. */
  readonly limiter: string
  /** The text of a quota. */
  readonly rate: string
  /** As of RedisStore. */
  readonly resend?: boolean
  /** Passes the time to Redis, so far ahead of the true time, in ms. `undefined`: the server's clock decides. */
  readonly clockAhead?: number
}

export type Request =
  | { readonly prepare: Job }
  | { readonly checks: number }
  | { readonly ends: number }
  | { readonly saturate: 'until told' }
  | { readonly finish: true }
  | { readonly clockAhead: number }

export interface Checked {
  readonly limited: boolean
  readonly remaining: number
  readonly resetAfter: number
}

export type Reply =
  | 'ready'
  | 'full'
  | { readonly results: readonly Checked[] }
  | { readonly admitted: readonly number[] }
  | { readonly error: string }

/** Two steps of a process that asks as fast as it can. */
export interface Saturation {
  readonly full: Promise<void>
  readonly admitted: Promise<readonly number[]>
}

export class CalendarClient {
  readonly #child: ChildProcess

  constructor({ ahead = 0, shiftsZones = false }: Partial<Mistakes> = {}) {
    const mistakes: Mistakes = { ahead, shiftsZones }
    this.#child = fork(WORKER, [JSON.stringify(mistakes)], { execArgv: ['--import', 'tsx'] })
  }

  /** Takes a quota to count. */
  async prepare(job: Job): Promise<void> {
    await this.#ask({ prepare: job })
  }

  async check(checks = 1): Promise<readonly Checked[]> {
    const reply = await this.#ask({ checks })
    if (typeof reply !== 'object' || !('results' in reply)) throw new Error('a process answered something else')
    return reply.results
  }

  /**
   * Asks as fast as it can until it was refused in the window that ends within `ends` ms, and then in the next.
   * @returns `full`: it was refused in the first; `admitted`: what was admitted in each
   */
  saturate(ends: number): Saturation {
    return this.#saturate({ ends })
  }

  /**
   * Asks as fast as it can until `finish` is called, and then until a hundred checks in a row were refused.
   * @returns `full`: it was refused; `admitted`: what was admitted until then, and since
   */
  saturateUntilTold(): Saturation {
    return this.#saturate({ saturate: 'until told' })
  }

  /** Ends what `saturateUntilTold` began. */
  finish(): void {
    this.#child.send({ finish: true } satisfies Request)
  }

  #saturate(request: Request): Saturation {
    const full = this.#next('full')
    this.#child.send(request)
    const admitted = full.then(async () => {
      const reply = await this.#next()
      if (typeof reply !== 'object' || !('admitted' in reply)) throw new Error('a process answered something else')
      return reply.admitted
    })
    return { full: full.then(() => {}), admitted }
  }

  /** Moves a clock that is passed in. */
  setClock(clockAhead: number): void {
    this.#child.send({ clockAhead } satisfies Request)
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect()
  }

  #ask(request: Request): Promise<Reply> {
    const reply = this.#next()
    this.#child.send(request)
    return reply
  }

  async #next(expected?: Reply): Promise<Reply> {
    const over = new AbortController()
    try {
      const ended = once(this.#child, 'exit', over).then(([code]) => {
        throw new Error(`a process ended with code ${code}`)
      })
      const [reply]: Reply[] = await Promise.race([once(this.#child, 'message', over), ended])
      if (reply === undefined) throw new Error('a process answered nothing')
      if (typeof reply === 'object' && 'error' in reply) throw new Error(`a process failed: ${reply.error}`)
      if (expected !== undefined && reply !== expected) throw new Error(`a process answered ${reply}`)
      return reply
    } finally {
      over.abort()
    }
  }
}
