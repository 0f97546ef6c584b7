/** The processes that hammer the quota on one Redis; without a Redis, as many callers in this process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DictionaryStore } from 'onrush'
import { Hammer } from './hammer.ts'
import { NOTHING, type Order, type Place, type Report, type Tally, type Target } from './orders.ts'

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

export interface Crew extends AsyncDisposable {
  /** The words for one member and for several: `process`, `processes`. */
  readonly member: string
  readonly members: string
  start(target: Target): void
  /** The latest known count of each member. */
  readonly tallies: readonly Tally[]
  /** Stops all members. Resolves to their final counts once every check is answered. */
  stop(): Promise<readonly Tally[]>
}

export class ProcessCrew implements Crew {
  readonly member = 'process'
  readonly members = 'processes'
  readonly #members: readonly Member[]

  private constructor(members: readonly Member[]) {
    this.#members = members
  }

  /** Resolves when all are connected to Redis. */
  static async gather(size: number, place: Place): Promise<ProcessCrew> {
    const members = Array.from({ length: size }, () => new Member(place))
    await Promise.all(members.map((member) => member.done()))
    return new ProcessCrew(members)
  }

  get tallies(): readonly Tally[] {
    return this.#members.map(({ tally }) => tally)
  }

  start(target: Target): void {
    for (const member of this.#members) member.tell(target)
  }

  stop(): Promise<readonly Tally[]> {
    return Promise.all(
      this.#members.map(async (member) => {
        member.tell('stop')
        await member.done()
        return member.tally
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map((member) => member.leave()))
  }
}

/** The parent's view of one process. */
class Member {
  tally = NOTHING
  readonly #child: ChildProcess
  #done: () => void = () => {}

  constructor(place: Place) {
    this.#child = fork(WORKER, [JSON.stringify(place)], { execArgv: ['--import', 'tsx'] })
    this.#child.on('message', ({ tally, done }: Report) => {
      this.tally = tally
      if (done) this.#done()
    })
  }

  tell(order: Order): void {
    if (order !== 'stop') this.tally = NOTHING
    this.#child.send(order)
  }

  /** Resolves when the process reports its order done; rejects if the process exits instead. */
  done(): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (code: number | null): void => reject(new Error(`A process of the demo ended with code ${code}`))
      this.#child.once('exit', fail)
      this.#done = () => {
        this.#child.off('exit', fail)
        resolve()
      }
    })
  }

  async leave(): Promise<void> {
    if (!this.#child.connected) return
    const exit = once(this.#child, 'exit')
    this.#child.disconnect()
    await exit
  }
}

export class LocalCrew implements Crew {
  readonly member = 'caller'
  readonly members = 'callers'
  readonly #size: number
  readonly #store = new DictionaryStore()
  #hammers: readonly Hammer[] = []

  constructor(size: number) {
    this.#size = size
  }

  get tallies(): readonly Tally[] {
    return this.#hammers.map(({ tally }) => tally)
  }

  start(target: Target): void {
    this.#hammers = Array.from({ length: this.#size }, () => new Hammer(this.#store, target))
  }

  stop(): Promise<readonly Tally[]> {
    return Promise.all(this.#hammers.map((hammer) => hammer.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
