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
import { believedIn } from './believed.ts'
import type { Settings } from './settings.ts'
import { Snapshots } from './snapshots.ts'

export interface StormOptions {
  /** The server itself, for the snapshots. */
  readonly url: string
  /** By way of what may fail: the processes take turns. Default: the server itself. */
  readonly through?: readonly string[]
  readonly prefix: string
  readonly processes: number
  readonly count: number
  /** ms. */
  readonly lease: number
  /** ms. */
  readonly duration: number
  /** Makes a fault of the network; returns its name. Default: none. */
  readonly fault?: (() => Promise<string>) | undefined
  readonly kills: boolean
  /** Whether processes are stopped for a while. */
  readonly stops: boolean
  readonly flushes: boolean
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

export async function storm(options: StormOptions): Promise<StormReport> {
  const { url, prefix, count, lease } = options
  const log = join(mkdtempSync(join(tmpdir(), 'onrush-storm-')), 'log')
  writeFileSync(log, '')
  const settings: Settings = {
    url,
    prefix,
    count,
    lease,
    keys: ['one', 'two', 'three'],
    users: 12,
    log,
  }
  const client = new Redis(url)
  const snapshots = new Snapshots(client, settings)
  const faults: Record<string, number> = {}
  const happened = (name: string): void => {
    faults[name] = (faults[name] ?? 0) + 1
  }
  /** Spans in which more may be held, as docs say: a process that was stopped, and after a flush. */
  const excused: { from: number; to: number }[] = []
  const deaths = new Map<number, number>()
  const { through = [url] } = options
  const start = (index: number): ChildProcess =>
    fork(WORKER, [JSON.stringify({ ...settings, url: through[index % through.length] })], {
      execArgv: ['--import', 'tsx'],
    })
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
      // Until its first turn of the event loop, in which it learns that it has lost.
      excused.push({ from, to: clock() + 250_000 })
    } else if (options.flushes && chance < 0.6) {
      happened('flush')
      await client.flushall()
      excused.push({ from, to: clock() + lease * 1000 })
    } else if (options.fault !== undefined && chance < 0.9) happened(await options.fault())
  }
  const violations = [...(await snapshots.stop())]
  for (const child of children) child.kill('SIGKILL')
  const believed = believedIn(readFileSync(log, 'utf8'), deaths)
  violations.push(...believed.violations(count, excused))
  client.disconnect()
  return { starts: believed.starts, faults, violations, mostHeld: believed.mostHeld(excused) }
}

/** Microseconds since the epoch. */
function clock(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000)
}
