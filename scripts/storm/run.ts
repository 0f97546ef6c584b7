/**
 * A storm on permits: processes of random users, that are killed, stopped and cut off while a snapshot of the server is taken every 10 ms. What
 * the processes believed to hold is compared afterwards, on one clock.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { believedIn, type Span } from './believed.ts'
import { clock, toEpoch } from './clock.ts'
import type { Settings } from './settings.ts'
import { Snapshots } from './snapshots.ts'
import type { World } from './world.ts'

export interface StormOptions {
  readonly world: World
  readonly prefix: string
  readonly processes: number
  readonly count: number
  /** ms. */
  readonly lease: number
  /** ms. */
  readonly duration: number
  /** The storm goes on, for at most 40 s, until so many permits were got: processes start slowly on a busy machine. Default 0. */
  readonly leastStarts?: number
  readonly kills: boolean
  /** Whether processes are stopped for a while. */
  readonly stops: boolean
  readonly flushes: boolean
  /** The part of all messages that are lost. Default 0. */
  readonly lostMessages?: number
  /** The part of all calls that reach the server late. Default 0. */
  readonly lateCalls?: number
}

export interface StormReport {
  /** Permits that users got. */
  readonly starts: number
  readonly faults: Readonly<Record<string, number>>
  /** What must not be; empty: all is well. */
  readonly violations: readonly string[]
  /** The most units believed held at once on a key, outside of what is allowed after a flush or a stop. */
  readonly mostHeld: number
}

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

/** How much later than one lease after the death of its owner a unit may be free, in ms. */
const GRACE = 100

export async function storm(options: StormOptions): Promise<StormReport> {
  const { world, prefix, count, lease, lostMessages = 0, lateCalls = 0 } = options
  const log = join(mkdtempSync(join(tmpdir(), 'onrush-storm-')), 'log')
  writeFileSync(log, '')
  const settings = { count, lease, keys: ['one', 'two', 'three'], users: 12, log, lostMessages, lateCalls }
  const clients = world.servers.map(({ port }) => {
    const client = new Redis(port, '127.0.0.1', {
      retryStrategy: () => 100,
      maxRetriesPerRequest: 0,
      commandTimeout: 500,
    })
    // A server may be away; it is looked at again when it is back.
    return client.on('error', () => {})
  })
  const snapshots = new Snapshots(clients, { prefix, count, lease })
  const faults: Record<string, number> = {}
  const history: string[] = []
  const happened = (name: string): void => {
    faults[name] = (faults[name] ?? 0) + 1
    history.push(`${clock()} ${name}`)
  }
  const excused: Span[] = []
  const deaths = new Map<number, number>()
  const start = (index: number): ChildProcess => {
    const url = `${world.urls[index % world.urls.length]}?prefix=${prefix}&timeout=500ms`
    const told: Settings = { ...settings, url }
    return fork(WORKER, [JSON.stringify(told)], { execArgv: ['--import', 'tsx'] })
  }
  const children = Array.from({ length: options.processes }, (_, index) => start(index))
  snapshots.start()
  const end = performance.now() + options.duration
  await sleep(1500)
  while (performance.now() < end) {
    await sleep(100 + Math.random() * lease)
    const index = Math.floor(Math.random() * children.length)
    const child = children[index]
    const chance = Math.random()
    const from = clock()
    const fault = world.faults[Math.floor(Math.random() * world.faults.length)]
    if (options.kills && chance < 0.25 && child !== undefined) {
      happened('kill')
      deaths.set(child.pid ?? 0, from)
      child.kill('SIGKILL')
      children[index] = start(index)
    } else if (options.stops && chance < 0.5 && child !== undefined) {
      happened('stop')
      child.kill('SIGSTOP')
      await sleep(Math.random() * 2.5 * lease)
      child.kill('SIGCONT')
    } else if (options.flushes && chance < 0.6) {
      happened('flush')
      await world.flush()
      excused.push({ from, to: clock() + lease * 1000 })
    } else if (fault !== undefined && chance < 0.9) {
      happened(fault.name)
      await fault.happen()
      if (fault.losesWrites === true) excused.push({ from, to: clock() + lease * 1000 })
      await sleep(fault.rest ?? 0)
    }
  }
  const { leastStarts = 0 } = options
  const starts = (): number => believedIn(readFileSync(log, 'utf8'), deaths).starts
  while (starts() < leastStarts && performance.now() < end + 40_000) await sleep(200)
  const violations = [...(await snapshots.stop())]
  for (const child of children) child.kill('SIGKILL')
  const believed = believedIn(readFileSync(log, 'utf8'), deaths)
  violations.push(...believed.violations(count, excused))
  for (const [holder, died] of believed.deaths) {
    const late = Math.round(((snapshots.heldUntil.get(holder) ?? 0) - toEpoch() - died) / 1000 - lease)
    if (late > GRACE) violations.push(`a unit outlived its owner by ${late} ms more than a lease`)
  }
  for (const client of clients) client.disconnect()
  if (violations.length > 0) violations.push(`the log of the processes: ${log}; the faults: ${history.join(', ')}`)
  return { starts: believed.starts, faults, violations, mostHeld: believed.mostHeld(excused) }
}
