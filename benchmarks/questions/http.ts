/**
 * What a limiter adds to a request over HTTP, on Express and Fastify. Each service is a process of its own, whose program
 * is this file too; autocannon asks them in turn.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import fastifyRateLimit from '@fastify/rate-limit'
import autocannon from 'autocannon'
import express, { type RequestHandler } from 'express'
import { rateLimit as expressRateLimit } from 'express-rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'
import { build } from 'hdr-histogram-js'
import { Redis } from 'ioredis'
import { RedisStore } from 'rate-limit-redis'
import { createClient } from 'redis'
import { type Goal, type Row, rowOf, type Section } from '../harness/answer.ts'
import type { Bench, Question } from '../harness/bench.ts'
import { loadBuild } from '../harness/build.ts'
import { against, measurementOf } from '../harness/compare.ts'
import { ROOMY } from '../harness/field.ts'
import { collectGarbage } from '../harness/garbage.ts'
import { keysOf } from '../harness/keys.ts'
import { summaryOf } from '../harness/load.ts'
import { type Measurement, type MetricName, samplesOf } from '../harness/metrics.ts'

const FILE = fileURLToPath(import.meta.url)
const KEYS = 10_000
const CONNECTIONS = [1, 32]
/** Nothing limits it: what the framework takes by itself. */
const BARE = 'no limit'

interface Framework {
  readonly name: string
  readonly title: string
  readonly peer: string
  /** Starts a service on a free port, with this Redis; resolves to its port. */
  readonly services: Readonly<Record<string, (redisPort: number) => Promise<number>>>
}

const FRAMEWORKS: readonly Framework[] = [
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

export const http: Question = {
  name: 'http',
  title: 'Requests over HTTP',
  about: 'Requests of 10,000 users to one process, none refused, by 1 and by 32 connections that ask without a pause.',
  async ask(bench) {
    const contests: Contest[] = []
    try {
      for (const framework of FRAMEWORKS) {
        for (const name of Object.keys(framework.services)) {
          const service = await Service.start(framework, name, bench.redis.port)
          contests.push(...CONNECTIONS.map((connections) => ({ service, connections, measurements: [] })))
        }
      }
      await compete(bench, contests)
    } finally {
      for (const { service } of contests) service.stop()
    }
    const compared = FRAMEWORKS.map((framework) => {
      const rows = contests.filter(({ service }) => service.framework === framework).map(rowOfContest)
      return { framework, rows, added: against(addedTo(rows), framework.peer, 'p50') }
    })
    return {
      settings: { keys: KEYS, connections: CONNECTIONS.join(' and ') },
      sections: compared.flatMap(({ framework, rows, added }) => sectionsOf(framework, rows, added)),
      goals: compared.flatMap(({ framework, added }) => goalsOf(framework, added)),
      remarks: [
        'checks/s are requests a second, and client µs processor time of the service, also where nothing is checked.',
        'What a limiter adds is its figure less that of the bare framework, of the same round.',
        'express-rate-limit keeps its counts by rate-limit-redis on node-redis; the others use ioredis.',
      ],
    }
  },
}

interface Contest {
  readonly service: Service
  readonly connections: number
  readonly measurements: Measurement[]
}

class Service {
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
    // Whoever waits for its next message is told.
    child.once('exit', (code) => child.emit('error', new Error(`The service ${name} ended with code ${code}`)))
    const [port] = await once(child, 'message')
    return new Service(framework, name, port, child)
  }

  /** Milliseconds of processor time that it has used. */
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

/** Round by round, there and back, so that nobody always follows the same neighbour. */
async function compete(bench: Bench, contests: readonly Contest[]): Promise<void> {
  bench.progress.expect(contests.length * (bench.rounds + 1))
  for (let round = -1; round < bench.rounds; round++) {
    for (const { service, connections, measurements } of round % 2 === 0 ? contests : contests.toReversed()) {
      // The first is for the compiler.
      const duration = round < 0 ? bench.warmUpTime * 4 : bench.roundTime * 2
      const measurement = await measure(service, connections, duration)
      if (round >= 0) measurements.push(measurement)
      bench.progress.step(`${service.framework.title}, ${service.name}`)
    }
  }
}

async function measure(service: Service, connections: number, duration: number): Promise<Measurement> {
  const latencies = build({ highestTrackableValue: 60e9, numberOfSignificantValueDigits: 3, bitBucketSize: 32 })
  const connected = new Set<autocannon.Client>()
  let decisions = 0
  let last = 0
  collectGarbage()
  const processorStart = await service.processorTime()
  const start = performance.now()
  const { errors, non2xx } = await new Promise<autocannon.Result>((resolve, reject) => {
    const options = { url: service.url, connections, duration: duration / 1000, sampleInt: 10 }
    const load = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)))
    // autocannon's own histogram knows whole milliseconds only.
    load.on('response', (client, _status, _bytes, milliseconds) => {
      decisions++
      last = performance.now()
      // The first of a connection has waited for all the others to be opened.
      if (connected.has(client)) latencies.recordValue(Math.round(milliseconds * 1e6))
      else connected.add(client)
    })
  })
  if (errors + non2xx > 0) throw new Error(`${service.name} failed ${errors + non2xx} requests`)
  const processorTime = (await service.processorTime()) - processorStart
  return measurementOf(summaryOf({ decisions, time: last - start, processorTime, latencies }))
}

function rowOfContest({ service, connections, measurements }: Contest): Row {
  return { contestant: service.name, at: connections, samples: samplesOf(measurements) }
}

/** The limiters' rows, less the bare framework's. */
function addedTo(rows: readonly Row[]): Row[] {
  return rows
    .filter(({ contestant }) => contestant !== BARE)
    .map((row) => {
      const bare = rowOf(rows, BARE, row.at)
      const less = (metric: MetricName) => differences(row, bare, metric)
      return { ...row, samples: { clientTime: less('clientTime'), p50: less('p50'), p99: less('p99') } }
    })
}

/** Round by round. */
function differences(row: Row, other: Row, metric: MetricName): number[] {
  const others = other.samples[metric] ?? []
  return (row.samples[metric] ?? []).map((sample, round) => sample - (others[round] ?? Number.NaN))
}

function sectionsOf({ name, title, peer }: Framework, rows: readonly Row[], added: readonly Row[]): Section[] {
  const varied = 'connections'
  return [
    { name: `${name}-requests`, title: `${title}: requests`, varied, rows },
    { name: `${name}-added`, title: `${title}: what the limiter adds`, varied, ratio: `p50 × ${peer}`, rows: added },
  ]
}

function goalsOf({ title, peer }: Framework, added: readonly Row[]): Goal[] {
  return CONNECTIONS.flatMap((connections) =>
    (['p50', 'p99'] as const).map((metric) => ({
      text: `${title}, connections: ${connections}, µs added at ${metric}: less ${peer}'s, ≤ 0`,
      samples: differences(rowOf(added, 'onrush', connections), rowOf(added, peer, connections), metric),
      bound: { atMost: 0 },
    })),
  )
}

if (process.argv[1] === FILE) await serve(process.argv.slice(2))

/** The program of a service: tells its port, then its processor time when asked, until its parent goes. */
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

/** Every request is another user's: a function that hands out their keys. */
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
  return new URL(`../../dist/http/${entry}.js`, import.meta.url).href
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
