/** Jobs of one process that need a permit each, and when they ran. */
import { setTimeout as sleep } from 'node:timers/promises'
import { SEMAPHORES, type Semaphore, type SemaphoreName, type SemaphoreSetting } from '../contestants/semaphores.ts'

/** Runs jobs. The first task of a semaphore may have no users: it only sets the semaphore up. */
export interface JobsTask {
  readonly name: 'jobs'
  readonly semaphore: SemaphoreName
  readonly setting: SemaphoreSetting
  /** How many run jobs at the same time, one after another. */
  readonly users: number
  /** Jobs of each user. */
  readonly times: number
  /** When users stop, in ms since the epoch, if not earlier. Default: never. */
  readonly until?: number
  /** The length of a job, in ms. */
  readonly work: number
  /** The longest pause of a user between two jobs, in ms. */
  readonly pause: number
}

/** One job, in ms since the epoch. */
export interface Job {
  readonly asked: number
  readonly started: number
  readonly ended: number
  readonly token: number | undefined
}

const opened = new Map<string, Promise<Semaphore>>()

/** The jobs in the order in which they were asked for. */
export async function runJobs({
  semaphore: name,
  setting,
  users,
  times,
  until,
  work,
  pause,
}: JobsTask): Promise<Job[]> {
  const id = JSON.stringify([name, setting])
  const opening = opened.get(id) ?? SEMAPHORES[name](setting)
  opened.set(id, opening)
  const semaphore = await opening
  // In the order in which they are asked for.
  const jobs: Job[] = []
  let next = 0
  const use = async (): Promise<void> => {
    for (let time = 0; time < times && now() < (until ?? Number.POSITIVE_INFINITY); time++) {
      const place = next++
      const asked = now()
      let started = 0
      let ended = 0
      const token = await semaphore.run(async () => {
        started = now()
        await sleep(work)
        ended = now()
      })
      jobs[place] = { asked, started, ended, token }
      if (pause > 0) await sleep(Math.random() * pause)
    }
  }
  await Promise.all(Array.from({ length: users }, use))
  return jobs.filter((job) => job !== undefined)
}

export async function closeSemaphores(): Promise<void> {
  const semaphores = await Promise.all(opened.values())
  opened.clear()
  await Promise.all(semaphores.map((semaphore) => semaphore[Symbol.asyncDispose]()))
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
