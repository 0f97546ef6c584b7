/** One real Redis server on 127.0.0.1, for as long as the caller wants it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Certificate, makeCertificate } from './certificate.ts'
import { findRedisServer } from './find-server.ts'
import { makeDirectory, onFreePort, removeDirectory, ServerProcess } from './server-process.ts'
import { untilEach } from './until.ts'

export interface RedisOptions {
  /** More of the command line, such as `['--maxmemory', '1mb']`. */
  readonly args?: readonly string[]
  /** Listens on a unix socket too. Default false. */
  readonly socket?: boolean
  /** Speaks TLS only, with a certificate of its own. Default false. */
  readonly tls?: boolean
  /** The password that clients must give. Default: none. */
  readonly password?: string
  /** Lines of an ACL file, such as `'user limited on >secret ~onrush:* +@all'`. */
  readonly acl?: readonly string[]
  /** Lines of a configuration file; it is then a sentinel. */
  readonly sentinel?: readonly string[]
}

interface Settings {
  readonly binary: string
  readonly directory: string
  readonly port: number
  readonly options: RedisOptions
  readonly certificate: Certificate | undefined
}

/** The user that our own commands run as where the caller decides who may do what. */
const CONTROL = { username: 'control', password: 'control' }

/** Starts a server on a free port; resolves when it answers. It keeps nothing on disk unless `args` say so. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const binary = await findRedisServer()
  const directory = makeDirectory()
  try {
    const certificate = options.tls ? await makeCertificate(directory) : undefined
    if (options.sentinel) writeLines(sentinelFile(directory), options.sentinel)
    if (options.acl) writeLines(aclFile(directory), [...passwordLine(options), controlLine(), ...options.acl])
    return await onFreePort((port) => RedisServer.start({ binary, directory, port, options, certificate }))
  } catch (error) {
    removeDirectory(directory)
    throw error
  }
}

/** Resolves when each replica has all that its master has. */
export function untilInStep(replicas: readonly RedisServer[]): Promise<void> {
  return untilEach('every replica to be in step', replicas, async (replica) =>
    (await replica.information('replication')).includes('master_link_status:up\r\n'),
  )
}

export class RedisServer implements AsyncDisposable {
  readonly port: number
  /** `redis:` or `rediss:`, with the password if there is one. */
  readonly url: string
  readonly socketPath: string | undefined
  /** The certificate that a client has to trust: `new Redis(url, { tls: { ca } })`. */
  readonly ca: string | undefined
  readonly #settings: Settings
  #process: ServerProcess

  private constructor(settings: Settings, process: ServerProcess) {
    const { options, directory, port, certificate } = settings
    this.port = port
    const credentials = options.password ? `:${encodeURIComponent(options.password)}@` : ''
    this.url = `${certificate ? 'rediss' : 'redis'}://${credentials}127.0.0.1:${port}`
    this.socketPath = options.socket ? socketFile(directory) : undefined
    this.ca = certificate?.pem
    this.#settings = settings
    this.#process = process
  }

  static async start(settings: Settings): Promise<RedisServer> {
    return new RedisServer(settings, await launch(settings))
  }

  get pid(): number {
    return this.#process.pid
  }

  get isRunning(): boolean {
    return this.#process.isRunning
  }

  /** Ends it and forgets its data. */
  async stop(): Promise<void> {
    await this.kill()
    removeDirectory(this.#settings.directory)
  }

  /** Ends it by SIGKILL. Its data directory and its port wait for `restart`. */
  kill(): Promise<void> {
    return this.#process.kill()
  }

  /** Stops it in its tracks by SIGSTOP: connections stay open, the system still accepts new ones, nothing is answered. */
  pause(): void {
    this.#process.signal('SIGSTOP')
  }

  resume(): void {
    this.#process.signal('SIGCONT')
  }

  /** Ends it if it still runs, and starts it again on the same port and data directory. */
  async restart(): Promise<void> {
    await this.kill()
    this.#process = await launch(this.#settings)
  }

  /**
   * The reply to one command, sent on a connection of its own, in the shapes of RESP2.
   * @throws Error what the server or the connection says.
   */
  command(name: string, ...args: readonly Argument[]): Promise<unknown> {
    return send(this.#settings, name, args)
  }

  /** A section of INFO. */
  async information(section: string): Promise<string> {
    return String(await this.command('INFO', section))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

function launch(settings: Settings): Promise<ServerProcess> {
  return ServerProcess.start(settings.binary, commandLine(settings), settings.directory, async (pid) => {
    // Not a PING: it could be answered by another server that took the port a moment earlier.
    const information = await send(settings, 'INFO', ['server'], 1000)
    return String(information).includes(`process_id:${pid}\r\n`)
  })
}

function commandLine({ port, directory, options, certificate }: Settings): string[] {
  const listen = certificate
    ? ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no'].concat(
        ['--tls-cert-file', certificate.certificatePath, '--tls-key-file', certificate.keyPath],
        ['--tls-ca-cert-file', certificate.certificatePath],
      )
    : ['--port', String(port)]
  // Without the delay's 0, a master waits 5 s for more replicas before it serves the first.
  const storage = ['--save', '', '--appendonly', 'no', '--repl-diskless-sync-delay', '0']
  return [
    ...(options.sentinel ? [sentinelFile(directory), '--sentinel'] : storage),
    ...['--bind', '127.0.0.1', '--dir', directory, '--daemonize', 'no'],
    ...listen,
    ...(options.socket ? ['--unixsocket', socketFile(directory)] : []),
    ...(options.acl ? ['--aclfile', aclFile(directory)] : []),
    ...(options.password && !options.acl ? ['--requirepass', options.password] : []),
    ...(options.args ?? []),
  ]
}

type Argument = string | number | Buffer

/** `timeout`: ms to wait for the reply; default for ever. */
async function send(settings: Settings, name: string, args: readonly Argument[], timeout?: number): Promise<unknown> {
  const { port, options, certificate } = settings
  const client = new Redis({
    host: '127.0.0.1',
    port,
    ...(options.acl ? CONTROL : { password: options.password }),
    ...(certificate ? { tls: { ca: certificate.pem } } : {}),
    protocol: 2,
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    retryStrategy: null,
    commandTimeout: timeout,
  })
  // Each error also rejects the command. Without a listener ioredis would print the error.
  client.on('error', () => {})
  await client.connect()
  try {
    return await client.call(name, ...args)
  } finally {
    client.disconnect()
  }
}

function passwordLine({ password }: RedisOptions): string[] {
  return password === undefined ? [] : [`user default on >${password} ~* &* +@all`]
}

function controlLine(): string {
  return `user ${CONTROL.username} on >${CONTROL.password} ~* &* +@all`
}

function writeLines(path: string, lines: readonly string[]): void {
  writeFileSync(path, `${lines.join('\n')}\n`)
}

function sentinelFile(directory: string): string {
  return join(directory, 'sentinel.conf')
}

function aclFile(directory: string): string {
  return join(directory, 'users.acl')
}

function socketFile(directory: string): string {
  return join(directory, 'redis.sock')
}
