/**
 * Finds the programs that tests, demo, benchmarks and examples start, and installs them where that is possible.
 * Never gives up silently: who gets no path gets an error that says what to install.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** A place to look: a path, or nothing there. If no place has the server, the user gets the errors of all places. */
type Place = () => string | undefined | Promise<string | undefined>

let redisServer: Promise<string> | undefined
let memcached: Promise<string> | undefined
let openssl: Promise<string> | undefined
let chromium: Promise<string> | undefined

/**
 * The path of a Redis or Valkey server, looked up once per process.
 * @throws Error that says what to install when there is none.
 */
export function findRedisServer(): Promise<string> {
  redisServer ??= searchRedisServer(process.env, isRoot())
  return redisServer
}

/** As `findRedisServer`, for memcached. */
export function findMemcached(): Promise<string> {
  memcached ??= searchMemcached(process.env, isRoot())
  return memcached
}

/** As `findRedisServer`, for openssl, which bare Debian comes without. */
export function findOpenssl(): Promise<string> {
  openssl ??= search('openssl', [
    () => onPath(process.env, 'openssl'),
    () => aptInstall(process.env, isRoot(), 'openssl'),
  ])
  return openssl
}

/** As `findRedisServer`, for Chromium. */
export function findChromium(): Promise<string> {
  chromium ??= search('chromium', [
    () => onPath(process.env, 'chromium') ?? onPath(process.env, 'google-chrome'),
    () => aptInstall(process.env, isRoot(), 'chromium'),
  ])
  return chromium
}

/** As `findRedisServer`, in a given environment, and without caching. */
export async function searchRedisServer(env: Environment, isRoot: boolean): Promise<string> {
  return (
    named(env, 'ONRUSH_REDIS_SERVER') ??
    named(env, 'REDISMS_SYSTEM_BINARY') ??
    search('redis-server, or set ONRUSH_REDIS_SERVER to the path of a Redis or Valkey server', [
      () => onPath(env, 'redis-server') ?? onPath(env, 'valkey-server'),
      () => downloadedEarlier(env),
      () => aptInstall(env, isRoot, 'redis-server'),
      () => download(),
    ])
  )
}

/** As `findMemcached`, in a given environment, and without caching. */
export async function searchMemcached(env: Environment, isRoot: boolean): Promise<string> {
  return (
    named(env, 'MEMCACHED_BINARY') ??
    search('memcached, or set MEMCACHED_BINARY to its path', [
      () => onPath(env, 'memcached'),
      () => aptInstall(env, isRoot, 'memcached'),
    ])
  )
}

async function search(toInstall: string, places: readonly Place[]): Promise<string> {
  const reasons: unknown[] = []
  for (const place of places) {
    try {
      const found = await place()
      if (found !== undefined) return found
    } catch (reason) {
      reasons.push(reason)
    }
  }
  const tried = reasons.map((reason) => `\n- ${reason instanceof Error ? reason.message.trim() : String(reason)}`)
  throw new Error(`Install ${toInstall}. It is not on PATH and could not be installed from here:${tried.join('')}`)
}

/** A program that the user names must be that one: no other is taken in its stead. */
function named(env: Environment, variable: string): string | undefined {
  const path = env[variable]
  if (path === undefined || path === '') return undefined
  if (!isProgram(path)) throw new Error(`${variable} must be the path of an executable file, got '${path}'`)
  return resolve(path)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function onPath(env: Environment, program: string): string | undefined {
  const directories = (env.PATH ?? '').split(delimiter).filter((directory) => directory !== '')
  return directories.map((directory) => resolve(directory, program)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Where redis-memory-server puts what it has built, in the order in which it chooses. Its own look-up would download at once. */
function downloadedEarlier(env: Environment): string | undefined {
  const directories = [
    env.REDISMS_DOWNLOAD_DIR,
    join(env.HOME ?? homedir(), '.cache/redis-binaries'),
    'node_modules/.cache/redis-memory-server/redis-binaries',
  ]
  return directories
    .filter((directory) => directory !== undefined)
    .map((directory) => resolve(directory, env.REDISMS_VERSION ?? 'stable', 'redis-server'))
    .find(isProgram)
}

// Run under a lock, since apt's own do not cover `update`: of several processes the second finds the program there.
const APT_INSTALL = `
exec >/dev/null
command -v "$1" && exit
install() { apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$1"; }
install "$1" || { apt-get -o DPkg::Lock::Timeout=120 update && install "$1"; }
`

async function aptInstall(env: Environment, isRoot: boolean, program: string): Promise<string> {
  const aptGet = onPath(env, 'apt-get')
  if (!isRoot || aptGet === undefined) throw new Error(`apt-get install -y ${program} takes root on Debian or a kin`)
  process.stderr.write(`${program} is not installed: running apt-get install -y ${program}\n`)
  // RUNLEVEL and the mask keep the package from starting a service of its own, under init scripts and under systemd.
  const systemctl = existsSync('/run/systemd/system') ? onPath(env, 'systemctl') : undefined
  if (systemctl !== undefined) await run(env, systemctl, ['mask', '--runtime', `${program}.service`])
  try {
    const quiet = { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
    await run(quiet, 'flock', [aptGet, 'sh', '-c', APT_INSTALL, 'sh', program])
  } catch (cause) {
    throw new Error(`apt-get install -y ${program} failed; it has said above why`, { cause })
  } finally {
    if (systemctl !== undefined) await run(env, systemctl, ['unmask', '--runtime', `${program}.service`])
  }
  const installed = onPath(env, program)
  if (installed === undefined) throw new Error(`apt-get has installed ${program}, but it is not on PATH`)
  return installed
}

/** Runs a command whose errors are seen on stderr. */
async function run(env: Environment, command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { env: { ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${command} ended with code ${code}`)
}

async function download(): Promise<string> {
  process.stderr.write('redis-server is not installed: downloading and building it, which takes minutes\n')
  const { RedisBinary } = await import('redis-memory-server')
  return RedisBinary.getPath()
}
