/**
 * A server as a child process: in a directory of its own, on a port of its own, and never outliving this process,
 * however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

// Ends with its standard input, which the system closes when this process is gone: by itself, by an error or by SIGKILL.
const WATCHDOG = `
cat
for file in "$1"/*/pid; do kill -9 "$(cat "$file")"; done
rm -rf "$1"
`

// Ports below those that systems give to outgoing connections (32768 on Linux, 49152 elsewhere), so that nothing else
// takes one between a stop and a restart. A cluster node also listens on its port + 10000.
const FIRST_PORT = 12_000
const LAST_PORT = 22_000
const BUS_OFFSET = 10_000

let processDirectory: string | undefined

/** A new directory, removed with `removeDirectory` or when this process ends. */
export function makeDirectory(): string {
  processDirectory ??= makeWatchedDirectory()
  return mkdtempSync(join(processDirectory, 's-'))
}

export function removeDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
}

function makeWatchedDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'onrush-'))
  const watchdog = spawn('sh', ['-c', WATCHDOG, 'sh', directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.unref()
  if (watchdog.stdin instanceof Socket) watchdog.stdin.unref()
  return directory
}

/** A port of 127.0.0.1 that is free now, and whose port + 10000 is too. Another process may take it before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    if ((await isFree(port)) && (await isFree(port + BUS_OFFSET))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** The server could not have its port. */
export class PortTakenError extends Error {}

/** Starts one server on a free port; with another one if a port is taken between choice and use. */
export async function onFreePort<Server>(start: (port: number) => Promise<Server>): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt === 10) throw error
    }
  }
}

export class ServerProcess {
  readonly pid: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, pid: number, directory: string) {
    this.pid = pid
    this.#child = child
    // For the watchdog. Removed with the process, since the system gives its number away again.
    writeFileSync(join(directory, 'pid'), String(pid))
    child.once('exit', () => rmSync(join(directory, 'pid'), { force: true }))
    child.unref()
  }

  /**
   * Starts `command` in `directory` and waits until `isReady` answers true; what that throws counts as not yet.
   * @throws PortTakenError, or an Error with the end of the server's log when it ends, or when it is not ready in 30 s.
   */
  static async start(
    command: string,
    args: readonly string[],
    directory: string,
    isReady: (pid: number) => Promise<boolean>,
  ): Promise<ServerProcess> {
    const output = openSync(join(directory, 'log'), 'a')
    const child = spawn(command, args, { cwd: directory, detached: true, stdio: ['ignore', output, output] })
    closeSync(output)
    if (child.pid === undefined) {
      const [cause] = await once(child, 'error')
      throw new Error(`${command} could not be started`, { cause })
    }
    const started = new ServerProcess(child, child.pid, directory)
    try {
      await until(`${command} to answer`, async () => !started.isRunning || (await isReady(started.pid)))
      if (started.isRunning) return started
    } catch (error) {
      await started.kill()
      throw error
    }
    const log = readFileSync(join(directory, 'log'), 'utf8').trimEnd().split('\n').slice(-10).join('\n')
    const message = `${command} ended at once:\n${log}`
    throw /address already in use|failed listening on port/i.test(log)
      ? new PortTakenError(message)
      : new Error(message)
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.isRunning) this.#child.kill(name)
  }

  /** Ends it by SIGKILL, stopped or not; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.isRunning) return
    this.#child.ref()
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }
}
