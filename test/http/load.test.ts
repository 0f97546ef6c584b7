/** Real load: autocannon against four processes that share one Redis, through the middleware of each framework. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import autocannon from 'autocannon'
import { parseList } from 'structured-headers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GcraLimiter, Quota, RedisStore, Throttle } from '../../src/index.ts'
import { frameworks } from '../support/http/servers.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'

const PROCESSES = 4
const CONNECTIONS = 16
const REQUESTS = 640
const USERS = ['ann', 'ben', 'cid'] as const
/** Nothing comes back while the test runs. */
const RATE = '100/day'
const QUOTA = Quota.parse(RATE)

/** Serves all frameworks on the Redis and by the rate of its arguments, until its parent goes; tells where. */
const PROGRAM = `
  import { GcraLimiter, Quota, RedisStore, Throttle } from './src/index.ts'
  import { frameworks } from './test/support/http/servers.ts'

  const [url, rate] = process.argv.slice(1)
  const limiter = new GcraLimiter({ store: new RedisStore({ url, timeout: 30_000 }) })
  const throttle = new Throttle({ limiter, rate: Quota.parse(rate) })
  const urls = {}
  for (const [name, start] of frameworks) {
    urls[name] = (await start([{ throttle, key: ({ user }) => name + ' ' + user }], async () => 200)).url
  }
  process.on('disconnect', () => process.exit())
  process.send(urls)
`

/** Milliseconds since the epoch. */
interface Span {
  readonly from: number
  readonly to: number
}

interface Answer {
  readonly user: string
  readonly status: number
  /** From when it was asked to when it was answered. */
  readonly span: Span
  /** Of the field RateLimit. */
  readonly policy: unknown
  readonly remaining: number
  /** In seconds, as all times of header fields. */
  readonly time: number
  readonly retryAfter: string | undefined
}

let redis: RedisServer
let store: RedisStore
let processes: readonly ChildProcess[] = []
let urlsOfProcesses: readonly Record<string, string>[]

beforeAll(async () => {
  redis = await startRedis()
  store = new RedisStore({ url: redis.url, timeout: 30_000 })
  processes = Array.from({ length: PROCESSES }, () =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM, redis.url, RATE], {
      cwd: resolve(import.meta.dirname, '../..'),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    }),
  )
  urlsOfProcesses = await Promise.all(processes.map(urlsOf))
})

afterAll(async () => {
  for (const child of processes) if (child.connected) child.disconnect()
  await store.close()
  await redis.stop()
})

/** @throws Error with the process's output if the process ends instead. */
async function urlsOf(child: ChildProcess): Promise<Record<string, string>> {
  const over = new AbortController()
  const ended = once(child, 'exit', over).then(([code]) => {
    throw new Error(`a process ended with code ${code}`)
  })
  try {
    const [urls] = await Promise.race([once(child, 'message', over), ended])
    return urls
  } finally {
    over.abort()
  }
}

/** All answers to requests of all users in turn, from all processes alike. */
async function answersOf(framework: string): Promise<Answer[]> {
  const answers: Answer[] = []
  const asked = new WeakMap<object, number>()
  const requests: autocannon.Request[] = USERS.map((user) => ({
    headers: { 'x-user': user },
    setupRequest(request, connection) {
      asked.set(connection, Date.now())
      return request
    },
    onResponse(status, _body, connection, headers) {
      const span = { from: asked.get(connection) ?? Number.NaN, to: Date.now() + 1 }
      answers.push({ user, status, span, ...fieldsOf(headers) })
    },
  }))
  const load = { requests, connections: CONNECTIONS / PROCESSES, amount: REQUESTS / PROCESSES, sampleInt: 50 }
  await Promise.all(urlsOfProcesses.map((urls) => autocannon({ ...load, url: urls[framework] ?? '' })))
  expect(answers.length).toBe(REQUESTS)
  return answers
}

function fieldsOf(headers: object = {}): Pick<Answer, 'policy' | 'remaining' | 'time' | 'retryAfter'> {
  const fields = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))
  const [[policy, parameters] = []] = parseList(fields.get('ratelimit') ?? '')
  return {
    policy,
    remaining: Number(parameters?.get('r')),
    time: Number(parameters?.get('t')),
    retryAfter: fields.get('retry-after'),
  }
}

/** When a user may come again, as Redis knows in the end. */
async function againOf(framework: string, user: string): Promise<Span> {
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: QUOTA })
  const from = Date.now()
  const { retryAfter } = await throttle.peek(`${framework} ${user}`)
  const to = Date.now() + 1
  return { from: from + retryAfter, to: to + retryAfter }
}

/** Whether it is the whole seconds, rounded up, from some instant of the answer's span until the end. */
function isTrue(seconds: number, { span }: Answer, end: Span): boolean {
  return seconds >= Math.ceil((end.from - span.to) / 1000) && seconds <= Math.ceil((end.to - span.from) / 1000)
}

describe.each(frameworks.map(([name]) => name))('four processes of %s under load', (framework) => {
  let answers: readonly Answer[]
  let users: readonly { admitted: readonly Answer[]; refused: readonly Answer[]; again: Span }[]

  beforeAll(async () => {
    answers = await answersOf(framework)
    users = await Promise.all(
      USERS.map(async (user) => {
        const own = answers.filter((answer) => answer.user === user)
        return {
          admitted: own.filter(({ status }) => status === 200),
          refused: own.filter(({ status }) => status !== 200),
          again: await againOf(framework, user),
        }
      }),
    )
  })

  test('admit exactly the quota of each user', () => {
    expect(users.map(({ admitted }) => admitted.length)).toEqual(USERS.map(() => QUOTA.limit))
  })

  test('refuse all others with status 429 and nothing remaining', () => {
    const refused = users.flatMap(({ refused }) => refused)
    expect(refused.length).toBe(REQUESTS - USERS.length * QUOTA.limit)
    expect(refused.filter(({ status, remaining }) => status !== 429 || remaining !== 0)).toEqual([])
  })

  test('name the quota in every answer', () => {
    expect(new Set(answers.map(({ policy }) => policy))).toEqual(new Set([QUOTA.name]))
  })

  test('never tell two admitted requests of one user the same remaining', () => {
    const all = Array.from({ length: QUOTA.limit }, (_, remaining) => remaining)
    for (const { admitted } of users) {
      expect(admitted.map(({ remaining }) => remaining).sort((a, b) => a - b)).toEqual(all)
    }
  })

  test('tell less remaining to who asks after an answer, whichever process gave it', () => {
    for (const { admitted } of users) {
      const risen = admitted.flatMap((later) =>
        admitted
          .filter(({ span, remaining }) => span.to <= later.span.from && remaining <= later.remaining)
          .map((earlier) => [earlier, later]),
      )
      expect(risen).toEqual([])
    }
  })

  test('tell admitted requests to the second when a unit more than remains can be spent', () => {
    for (const { admitted, again } of users) {
      // The unit that was spent first comes back first, however many are spent after it.
      expect(admitted.filter((answer) => !isTrue(answer.time, answer, again))).toEqual([])
    }
  })

  test('tell refused requests to the second when they may come again', () => {
    for (const { refused, again } of users) {
      const wrong = refused.filter(
        (answer) => answer.retryAfter !== String(answer.time) || !isTrue(answer.time, answer, again),
      )
      expect(wrong).toEqual([])
    }
  })
})
