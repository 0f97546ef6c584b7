/** One real memcached server on 127.0.0.1. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { findMemcached } from './find-server.ts'
import { makeDirectory, onFreePort, removeDirectory, ServerProcess } from './server-process.ts'
import { until } from './until.ts'

export interface MemcachedServer extends AsyncDisposable {
  readonly port: number
  stop(): Promise<void>
  /** Answers nothing from when this resolves, until it goes on. */
  pause(): Promise<void>
  resume(): void
}

/** Starts a server on a free port; resolves when it answers. */
export async function startMemcached(): Promise<MemcachedServer> {
  const binary = await findMemcached()
  const directory = makeDirectory()
  try {
    return await onFreePort((port) => launch(binary, directory, port))
  } catch (error) {
    removeDirectory(directory)
    throw error
  }
}

async function launch(binary: string, directory: string, port: number): Promise<MemcachedServer> {
  // As root, memcached must be given the user to run as.
  const args = ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-u', userInfo().username]
  const server = await ServerProcess.start(binary, args, directory, async (pid) =>
    (await statistics(port)).includes(`STAT pid ${pid}\r\n`),
  )
  const stop = async (): Promise<void> => {
    await server.kill()
    removeDirectory(directory)
  }
  const pause = async (): Promise<void> => {
    server.signal('SIGSTOP')
    // memcached has several threads, which go on answering for a while on a busy machine.
    await until('memcached to stand still', () => isStopped(server.pid))
  }
  return { port, stop, pause, resume: () => server.signal('SIGCONT'), [Symbol.asyncDispose]: stop }
}

/** True also where the system has no such file. */
async function isStopped(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  return status === undefined || /\) T /.test(status)
}

async function statistics(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').setTimeout(1000)
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  try {
    socket.write('stats\r\n')
    const [reply] = await once(socket, 'data')
    return String(reply)
  } finally {
    socket.destroy()
  }
}
