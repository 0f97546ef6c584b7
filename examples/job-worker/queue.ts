/** Where jobs wait: a list in Redis that any number of workers take from, or an array for one process. */
import { Redis } from 'ioredis'

export interface Job {
  readonly id: number
  /** How often it has been tried. */
  readonly tries: number
}

export interface JobQueue {
  add(jobs: readonly Job[]): Promise<void>
  /** The next job, which is now in flight; `undefined` when there is none. */
  take(): Promise<Job | undefined>
  /** The job is over; `again`: it goes to the end of the queue. */
  finish(job: Job, again?: Job): Promise<void>
  close(): Promise<void>
}

export class ArrayQueue implements JobQueue {
  readonly #jobs: Job[] = []

  async add(jobs: readonly Job[]): Promise<void> {
    this.#jobs.push(...jobs)
  }

  async take(): Promise<Job | undefined> {
    return this.#jobs.shift()
  }

  async finish(_job: Job, again?: Job): Promise<void> {
    if (again !== undefined) this.#jobs.push(again)
  }

  async close(): Promise<void> {}
}

/** A job in flight is kept in a second list, so that none is lost with the worker that had it. */
export class RedisQueue implements JobQueue {
  readonly #redis: Redis
  readonly #waiting: string
  readonly #underWay: string

  constructor(url: string, name: string) {
    this.#redis = new Redis(url)
    this.#waiting = `${name}:waiting`
    this.#underWay = `${name}:under-way`
  }

  async add(jobs: readonly Job[]): Promise<void> {
    await this.#redis.rpush(this.#waiting, ...jobs.map((job) => JSON.stringify(job)))
  }

  async take(): Promise<Job | undefined> {
    const text = await this.#redis.lmove(this.#waiting, this.#underWay, 'LEFT', 'RIGHT')
    return text === null ? undefined : JSON.parse(text)
  }

  async finish(job: Job, again?: Job): Promise<void> {
    const steps = this.#redis.multi().lrem(this.#underWay, 1, JSON.stringify(job))
    if (again !== undefined) steps.rpush(this.#waiting, JSON.stringify(again))
    await steps.exec()
  }

  async close(): Promise<void> {
    await this.#redis.quit()
  }
}
