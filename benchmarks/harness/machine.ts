/** Describes the machine on which a result was measured. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { RedisServer } from '../../test/support/servers/redis.ts'

const ROOT = new URL('../../', import.meta.url)
const PACKAGES = [
  ...['ioredis', 'redis', 'rate-limiter-flexible', 'rate-limit-redis', 'redis-gcra', 'bottleneck'],
  ...['express', 'express-rate-limit', 'fastify', '@fastify/rate-limit', 'autocannon'],
]

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGigabytes: number
  readonly system: string
  /** The one-minute average at the start of the run. */
  readonly loadAverage: number
}

export type Versions = Readonly<Record<string, string>>

export function describeMachine(): Machine {
  const cores = cpus()
  return {
    processor: cores[0]?.model ?? 'unknown',
    cores: cores.length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    system: `${platform()} ${release()} ${arch()}`,
    loadAverage: loadavg()[0] ?? 0,
  }
}

export async function describeVersions(redis: RedisServer): Promise<Versions> {
  const server = String(await redis.command('INFO', 'server'))
  return {
    onrush: `${packageVersion(new URL('package.json', ROOT))} (${commit()})`,
    node: process.version,
    ...serverVersion(server),
    ...Object.fromEntries(
      PACKAGES.map((name) => [name, packageVersion(new URL(`node_modules/${name}/package.json`, ROOT))]),
    ),
  }
}

/** Valkey tells its own version beside that of the Redis whose protocol it speaks. */
function serverVersion(information: string): Versions {
  const valkey = /^valkey_version:(\S+)/m.exec(information)?.[1]
  if (valkey !== undefined) return { 'valkey-server': valkey }
  return { 'redis-server': /^redis_version:(\S+)/m.exec(information)?.[1] ?? 'unknown' }
}

/** The share of the processor that other processes use while this one sleeps. NaN: the system does not report it. */
export async function othersShare(milliseconds: number): Promise<number> {
  const before = ticks()
  await sleep(milliseconds)
  const after = ticks()
  return (after.busy - before.busy) / (after.all - before.all)
}

function ticks(): { busy: number; all: number } {
  const all = cpus().flatMap(({ times }) => Object.values(times))
  const idle = cpus().map(({ times }) => times.idle)
  return { busy: sum(all) - sum(idle), all: sum(all) }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function packageVersion(file: URL): string {
  const { version }: { version: string } = JSON.parse(readFileSync(file, 'utf8'))
  return version
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: fileURLToPath(ROOT), encoding: 'utf8', stdio: 'pipe' })
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'lua') !== ''
    return `${git('rev-parse', '--short', 'HEAD').trim()}${changed ? ' with changes' : ''}`
  } catch {
    return 'not committed'
  }
}
