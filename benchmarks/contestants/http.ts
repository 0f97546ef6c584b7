/** Services on Express and Fastify that limit requests. This file is also the program that runs each service in its own process. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import fastifyRateLimit from '@fastify/rate-limit'
import express, { type RequestHandler } from 'express'
import { rateLimit as expressRateLimit } from 'express-rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { RedisStore } from 'rate-limit-redis'
import { createClient } from 'redis'
import { loadBuild } from '../harness/build.ts'
import { ROOMY } from '../harness/field.ts'
import { keysOf } from '../harness/keys.ts'

const FILE = fileURLToPath(import.meta.url)
/** The number of users, each with a key. */
export const KEYS = 10_000
/** A service without a limit, which shows the cost of the framework itself. */
export const BARE = 'no limit'

export interface Framework {
  readonly name: string
  readonly title: string
  readonly peer: string
  /** Starts a service on a free port, with this Redis; resolves to its port. */
  readonly services: Readonly<Record<string, (redisPort: number) => Promise<number>>>
}

export const FRAMEWORKS: readonly Framework[] = [
  {
    name: 'express',
    title: 'Express',
    peer: 'express-rate-limit',
    services: {
      [BARE]: () => serveExpress(),
      onrush: async (redisPort) => {
        const { rateLimit }: typeof import('onrush/express') = await import(built('express'))
        return serveExpress(rateLimit({ throttle: await throttleOn(redisPort), key: keyOfNext() }))
      },
      'express-rate-limit': async (redisPort) => {
        const client = createClient({ url: `redis://127.0.0.1:${redisPort}` })
        await client.connect()
        return serveExpress(
          expressRateLimit({
            ...{ windowMs: ROOMY.period, limit: ROOMY.limit, standardHeaders: 'draft-8', legacyHeaders: false },
            store: new RedisStore({ sendCommand: (...args: string[]) => client.sendCommand(args) }),
            keyGenerator: keyOfNext(),
          }),
        )
      },
    },
  },
  {
    name: 'fastify',
    title: 'Fastify',
    peer: '@fastify/rate-limit',
    services: {
      [BARE]: () => serveFastify(Fastify()),
      onrush: async (redisPort) => {
        const { rateLimit }: typeof import('onrush/fastify') = await import(built('fastify'))
        const app = Fastify()
        await app.register(rateLimit({ throttle: await throttleOn(redisPort), key: keyOfNext() }))
        return serveFastify(app)
      },
      '@fastify/rate-limit': async (redisPort) => {
        const app = Fastify()
        await app.register(fastifyRateLimit, {
          ...{ timeWindow: ROOMY.period, max: ROOMY.limit },
          redis: new Redis({ host: '127.0.0.1', port: redisPort }),
          keyGenerator: keyOfNext(),
        })
        return serveFastify(app)
      },
    },
  },
]

export class Service {
  readonly framework: Framework
  readonly name: string
  readonly url: string
  readonly #process: ChildProcess

  private constructor(framework: Framework, name: string, port: number, process: ChildProcess) {
    this.framework = framework
    this.name = name
    this.url = `http://127.0.0.1:${port}`
    this.#process = process
  }

  static async start(framework: Framework, name: string, redisPort: number): Promise<Service> {
    const env = { ...process.env, NODE_ENV: 'production' }
    const child = fork(FILE, [framework.name, name, String(redisPort)], { env })
    // Makes waits for the next message reject.
    child.once('exit', (code) => child.emit('error', new Error(`The service ${name} ended with code ${code}`)))
    const [port] = await once(child, 'message')
    return new Service(framework, name, port, child)
  }

  /** Processor time that the service has used, in ms. */
  async processorTime(): Promise<number> {
    this.#process.send('processor time?')
    const [time] = await once(this.#process, 'message')
    return time
  }

  stop(): void {
    this.#process.removeAllListeners('exit')
    if (this.#process.connected) this.#process.disconnect()
  }
}

if (process.argv[1] === FILE) await serve(process.argv.slice(2))

/** The program of a service: reports its port, then its processor time on request, until its parent exits. */
async function serve([frameworkName, name = '', redisPort]: readonly string[]): Promise<void> {
  const start = FRAMEWORKS.find((framework) => framework.name === frameworkName)?.services[name]
  if (start === undefined) throw new RangeError(`There is no service ${frameworkName} ${name}`)
  process.on('disconnect', () => process.exit())
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.((user + system) / 1000)
  })
  process.send?.(await start(Number(redisPort)))
}

/** A function that returns the keys of all users in turn, one per request. */
function keyOfNext(): () => string {
  const keys = keysOf({ kind: 'uniform', count: KEYS })
  let next = 0
  return () => keys(next++)
}

async function throttleOn(redisPort: number) {
  const onrush = await loadBuild()
  const store = new onrush.RedisStore({ url: `redis://127.0.0.1:${redisPort}` })
  const rate = new onrush.Quota({ count: ROOMY.limit, period: ROOMY.period })
  return new onrush.Throttle({ limiter: new onrush.GcraLimiter({ store }), rate })
}

function built(entry: string): string {
  return new URL(`../../dist/node/${entry}.mjs`, import.meta.url).href
}

async function serveExpress(...limits: readonly RequestHandler[]): Promise<number> {
  const app = express()
  for (const limit of limits) app.use(limit)
  app.get('/', (_request, response) => {
    response.send('handled')
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return portOf(server.address())
}

async function serveFastify(app: FastifyInstance): Promise<number> {
  app.get('/', async () => 'handled')
  await app.listen({ host: '127.0.0.1', port: 0 })
  return portOf(app.server.address())
}

function portOf(address: ReturnType<FastifyInstance['server']['address']>): number {
  if (address === null || typeof address === 'string') throw new Error('The service has no port')
  return address.port
}
