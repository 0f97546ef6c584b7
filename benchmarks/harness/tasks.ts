/** The tasks that a process of a crew can perform, and their answers. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type OnrushOptions, openOnrush } from '../contestants/onrush.ts'
import { CONTESTANTS, type ContestantName } from '../contestants.ts'
import type { Contestant, Setting } from './contestant.ts'
import { collectGarbage } from './garbage.ts'
import { closeSemaphores, type Job, type JobsTask, runJobs } from './jobs.ts'
import { type KeyOrder, keysOf } from './keys.ts'
import { drive, type Load, type Run, type Summary, summaryOf } from './load.ts'
import type { Measurement } from './metrics.ts'
import { offer } from './offer.ts'
import { type Paced, pace } from './pace.ts'
import { type Rush, type Rushed, rush } from './rush.ts'

export interface Tasks {
  open: { task: OpenTask; answer: undefined }
  close: { task: CloseTask; answer: undefined }
  drive: { task: DriveTask; answer: Summary }
  offer: { task: OfferTask; answer: Measurement }
  pace: { task: PaceTask; answer: Paced }
  rush: { task: RushTask; answer: Rushed }
  saturate: { task: SaturateTask; answer: SaturateAnswer }
  fill: { task: FillTask; answer: FillAnswer }
  jobs: { task: JobsTask; answer: readonly Job[] }
}

export type TaskName = keyof Tasks
export type Task = Tasks[TaskName]['task']

/** A contestant and its setup. Equal recruits in the tasks of a process share one instance. */
export interface Recruit {
  readonly contestant: ContestantName
  readonly setting: Setting
  /** Options of onrush that differ from the contestant's usual setup. */
  readonly options?: OnrushOptions
}

/** Only sets up the contestant, so that the next task starts at once. */
export interface OpenTask {
  readonly name: 'open'
  readonly recruit: Recruit
}

/** Closes all contestants of the process. */
export interface CloseTask {
  readonly name: 'close'
}

/** Runs a load. */
export interface DriveTask extends Omit<Load, 'contestant' | 'keys'> {
  readonly name: 'drive'
  readonly recruit: Recruit
  readonly keys: KeyOrder
  /** Collect garbage first, so that earlier garbage is not counted. Default false. */
  readonly collects?: boolean
}

/** Checks at a fixed rate. */
export interface OfferTask {
  readonly name: 'offer'
  readonly recruit: Recruit
  readonly keys: KeyOrder
  /** Checks per second. */
  readonly rate: number
  /** Milliseconds. */
  readonly duration: number
}

/** Checks at a fixed rate, and tells what was admitted of one key. */
export interface PaceTask {
  readonly name: 'pace'
  readonly recruit: Recruit
  readonly keys: KeyOrder
  readonly watched: string
  readonly drained: number
  /** Checks per second. */
  readonly rate: number
  /** In ms since the epoch. */
  readonly start: number
  /** Milliseconds. */
  readonly duration: number
}

/** Checks as fast as decisions are made. */
export interface RushTask extends Omit<Rush, 'contestant' | 'keys'> {
  readonly name: 'rush'
  readonly recruit: Recruit
  readonly keys: KeyOrder
}

/** Checks one key: once, then after a pause as fast as possible. */
export interface SaturateTask {
  readonly name: 'saturate'
  readonly recruit: Recruit
  readonly key: string
  /** When the process with `first` makes its single check, in ms since the epoch. */
  readonly start: number
  readonly first: boolean
  /** Milliseconds from `start` until all processes check. */
  readonly pause: number
  /** How long all processes check, in ms. */
  readonly duration: number
  readonly inFlight: number
}

export interface SaturateAnswer {
  readonly decisions: number
  readonly admissions: readonly Admission[]
}

/** Times before and after a check, in ms of a clock that all processes of the machine share. The decision was made between them. */
export interface Admission {
  readonly asked: number
  readonly answered: number
}

/** Checks each of `keys` keys twice. */
export interface FillTask {
  readonly name: 'fill'
  readonly recruit: Recruit
  readonly keys: number
  readonly inFlight: number
  /** The longest run in ms, for contestants that let timers run. */
  readonly duration: number
}

export interface FillAnswer {
  readonly keys: number
  /** Growth of the heap in bytes, after garbage collection. */
  readonly heap: number
  /** Growth of the process's memory in bytes. */
  readonly residentSet: number
}

const opened = new Map<string, Promise<Contestant>>()

export async function perform(task: Task): Promise<Tasks[TaskName]['answer']> {
  if (task.name === 'close') return close()
  if (task.name === 'jobs') return runJobs(task)
  const contestant = await open(task.recruit)
  switch (task.name) {
    case 'open':
      return undefined
    case 'drive':
      return summaryOf(await driveAlone(contestant, task))
    case 'offer':
      return offer({ contestant, keys: keysOf(task.keys), rate: task.rate, duration: task.duration })
    case 'pace':
      return pace({ ...task, contestant, keys: keysOf(task.keys) })
    case 'rush':
      return rush({ ...task, contestant, keys: keysOf(task.keys) })
    case 'saturate':
      return saturate(contestant, task)
    case 'fill':
      return fill(contestant, task)
  }
}

async function close(): Promise<undefined> {
  const contestants = await Promise.all(opened.values())
  opened.clear()
  await closeSemaphores()
  await Promise.all(contestants.map((contestant) => contestant[Symbol.asyncDispose]()))
}

function open(recruit: Recruit): Promise<Contestant> {
  const name = JSON.stringify(recruit)
  const known = opened.get(name)
  if (known !== undefined) return known
  const { contestant, setting, options } = recruit
  const opening = options === undefined ? CONTESTANTS[contestant](setting) : openOnrush(setting, options)
  opened.set(name, opening)
  return opening
}

function driveAlone(contestant: Contestant, { name, recruit, keys, collects, ...load }: DriveTask): Promise<Run> {
  const order = keysOf(keys)
  if (collects) collectGarbage()
  return drive({ ...load, contestant, keys: order })
}

async function saturate(contestant: Contestant, task: SaturateTask): Promise<SaturateAnswer> {
  const admissions: Admission[] = []
  let decisions = 0

  async function ask(): Promise<void> {
    const asked = sharedClock()
    if (await contestant.admits(task.key)) admissions.push({ asked, answered: sharedClock() })
    decisions++
  }

  async function askUntil(end: number): Promise<void> {
    while (Date.now() < end) await ask()
  }

  await sleep(task.start - Date.now())
  if (task.first) await ask()
  await sleep(task.start + task.pause - Date.now())
  const end = task.start + task.pause + task.duration
  await Promise.all(Array.from({ length: task.inFlight }, () => askUntil(end)))
  return { decisions, admissions }
}

async function fill(contestant: Contestant, { keys, inFlight, duration }: FillTask): Promise<FillAnswer> {
  collectGarbage()
  const before = process.memoryUsage()
  // Each key is a new string, so that a contestant that keeps keys pays for them.
  const load = { contestant, keys: keysOf({ kind: 'fresh', times: 2 }), inFlight, count: keys * 2, duration }
  const { decisions } = await drive(load)
  collectGarbage()
  const after = process.memoryUsage()
  return {
    keys: decisions / 2,
    heap: after.heapUsed + after.external - before.heapUsed - before.external,
    residentSet: after.rss - before.rss,
  }
}

function sharedClock(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
