import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { findRedisServer } from './find-server.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'
import { makeDirectory, onFreePort, ServerProcess } from './server-process.ts'
import { until } from './until.ts'

async function start(options?: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options)
  onTestFinished(() => server.stop())
  return server
}

function closing(client: Redis): Redis {
  onTestFinished(() => client.disconnect())
  return client
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it('answers on its URL with a password, and on its unix socket', async () => {
  const server = await start({ socket: true, password: 'p@ss word' })
  await closing(new Redis(server.url)).set('key', 'value')
  const local = closing(new Redis({ path: server.socketPath ?? '', password: 'p@ss word' }))
  await expect(local.get('key')).resolves.toBe('value')
  await expect(server.command('GET', 'key')).resolves.toBe('value')
})

it('speaks TLS to a client that trusts its certificate', async () => {
  const { url, ca } = await start({ tls: true })
  await expect(closing(new Redis(url, { tls: { ca } })).ping()).resolves.toBe('PONG')
})

it('keeps users to the ACL, while its own commands may do all', async () => {
  const server = await start({ acl: ['user default off', 'user limited on >secret ~own:* +get'] })
  const limited = closing(
    new Redis({ port: server.port, username: 'limited', password: 'secret', enableReadyCheck: false }),
  )
  await expect(limited.get('own:key')).resolves.toBeNull()
  await expect(limited.get('other')).rejects.toThrow('NOPERM')
  await expect(server.command('SET', 'other', 1)).resolves.toBe('OK')
})

it('restarts after a kill on the same port, with the data that was on disk', async () => {
  const server = await start({ args: ['--appendonly', 'yes'] })
  const { port, pid } = server
  await server.command('SET', 'key', 'value')
  await server.kill()
  expect(server.isRunning).toBe(false)
  await expect(server.command('PING')).rejects.toThrow('closed')
  await server.restart()
  expect(server).toMatchObject({ port, isRunning: true })
  expect(server.pid).not.toBe(pid)
  await expect(server.command('GET', 'key')).resolves.toBe('value')
})

it('answers nothing while it is paused, and all of it after', async () => {
  const server = await start()
  server.pause()
  const reply = server.command('PING')
  await expect(Promise.race([reply, sleep(50)])).resolves.toBeUndefined()
  server.resume()
  await expect(reply).resolves.toBe('PONG')
})

it('says what Redis said when it cannot start', async () => {
  await expect(startRedis({ args: ['--no-such-option', 'yes'] })).rejects.toThrow(">>> 'no-such-option")
})

it('takes another port when the chosen one is taken in the meantime', async () => {
  const taken = await start()
  const binary = await findRedisServer()
  const tried: number[] = []
  const server = await onFreePort((port) => {
    tried.push(port)
    const first = tried.length === 1
    return ServerProcess.start(
      binary,
      ['--port', String(first ? taken.port : port)],
      makeDirectory(),
      async () => !first,
    )
  })
  await server.kill()
  expect(tried).toHaveLength(2)
})

it('dies with the process that started it, even by SIGKILL, and leaves no files', async () => {
  const script = `
    import { startRedis } from './test/support/servers/redis.ts'
    const { pid, socketPath } = await startRedis({ socket: true })
    console.log(JSON.stringify({ pid, socketPath }))
    process.kill(process.pid, 'SIGKILL')`
  const parent = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  const output = Buffer.concat(await parent.stdout.toArray())
  const { pid, socketPath } = JSON.parse(String(output))
  await until('the server to be gone', async () => !isAlive(pid) && !existsSync(socketPath))
})
