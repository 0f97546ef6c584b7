/** What a process of a crew can be told to do, and what it answers. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CONTESTANTS, type ContestantName } from '../contestants.ts'
import type { Contestant, Setting } from './contestant.ts'
import { collectGarbage } from './garbage.ts'
import { keyName, uniformKeys } from './keys.ts'
import { drive } from './load.ts'

export interface Tasks {
  open: { task: OpenTask; answer: undefined }
  drive: { task: DriveTask; answer: DriveAnswer }
  saturate: { task: SaturateTask; answer: SaturateAnswer }
  fill: { task: FillTask; answer: FillAnswer }
}

export type TaskName = keyof Tasks
export type Task = Tasks[TaskName]['task']

/** Which contestant, set up how: the same is the same one in all tasks of a process. */
export interface Recruit {
  readonly contestant: ContestantName
  readonly setting: Setting
}

/** Only sets the contestant up, so that the next task need not. */
export interface OpenTask {
  readonly name: 'open'
  readonly recruit: Recruit
}

/** Asks for keys at random. */
export interface DriveTask {
  readonly name: 'drive'
  readonly recruit: Recruit
  readonly keys: number
  readonly inFlight: number
  /** Milliseconds. */
  readonly duration: number
}

export interface DriveAnswer {
  readonly decisions: number
  /** Milliseconds. */
  readonly time: number
  /** Milliseconds. */
  readonly processorTime: number
}

/** Asks for one key: a single time, then after a pause as fast as it can. */
export interface SaturateTask {
  readonly name: 'saturate'
  readonly recruit: Recruit
  readonly key: string
  /** Milliseconds since the epoch: when the single check is made, by the process that is `first`. */
  readonly start: number
  readonly first: boolean
  /** Milliseconds from `start` until all ask. */
  readonly pause: number
  /** Milliseconds that all ask. */
  readonly duration: number
  readonly inFlight: number
}

export interface SaturateAnswer {
  readonly decisions: number
  readonly admissions: readonly Admission[]
}

/** Milliseconds of a clock that all processes of the machine share; the decision fell somewhere between. */
export interface Admission {
  readonly asked: number
  readonly answered: number
}

/** Asks twice for each of so many keys. */
export interface FillTask {
  readonly name: 'fill'
  readonly recruit: Recruit
  readonly keys: number
  readonly inFlight: number
  /** Milliseconds after which it is enough, where the contestant leaves timers a turn. */
  readonly duration: number
}

export interface FillAnswer {
  readonly keys: number
  /** Bytes by which the heap has grown, garbage collected. */
  readonly heap: number
  /** Bytes by which the process has grown. */
  readonly residentSet: number
}

const opened = new Map<string, Promise<Contestant>>()

export async function perform(task: Task): Promise<Tasks[TaskName]['answer']> {
  const contestant = await open(task.recruit)
  switch (task.name) {
    case 'open':
      return undefined
    case 'drive':
      return driveAtRandom(contestant, task)
    case 'saturate':
      return saturate(contestant, task)
    case 'fill':
      return fill(contestant, task)
  }
}

function open(recruit: Recruit): Promise<Contestant> {
  const name = JSON.stringify(recruit)
  const known = opened.get(name)
  if (known !== undefined) return known
  const opening = CONTESTANTS[recruit.contestant](recruit.setting)
  opened.set(name, opening)
  return opening
}

async function driveAtRandom(contestant: Contestant, { keys, inFlight, duration }: DriveTask): Promise<DriveAnswer> {
  const { decisions, time, processorTime } = await drive({ contestant, keys: uniformKeys(keys), inFlight, duration })
  return { decisions, time, processorTime }
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
  // Names are made anew, so that whoever keeps one pays for it.
  const load = { contestant, keys: (index: number) => keyName(index >>> 1), inFlight, count: keys * 2, duration }
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
