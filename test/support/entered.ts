/** Which functions of `src` a check on one Redis enters, and how often, by V8's own count. */
import { Session } from 'node:inspector/promises'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { startRedis } from './servers/redis.ts'

const SOURCE = resolve(import.meta.dirname, '../../src')

/** What V8 and the compiler make besides the functions that are written. */
const MADE = new Set(['__name', '<instance_members_initializer>', '<static_initializer>'])

export interface EnteredFunction {
  /** Below `src`. */
  readonly file: string
  /** Empty for an arrow function. */
  readonly name: string
  readonly count: number
}

export interface Entered {
  readonly functions: readonly EnteredFunction[]
  /** A function that is resumed after an `await` is entered once more. */
  readonly entries: number
  readonly files: number
}

/** The functions entered by so many checks at once, each of a key of its own that was checked before. */
export async function enteredByChecks(checks: number): Promise<Entered> {
  await using server = await startRedis()
  const store = new RedisStore({ url: server.url })
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perDay(1000) })
  const work = (): Promise<unknown> =>
    Promise.all(Array.from({ length: checks }, (_, index) => throttle.check(`user-${index}`)))
  try {
    // The first calls open the connection, load the script and fill the caches.
    for (let call = 0; call < 3; call++) await work()
    const functions = await enteredBy(work)
    const entries = functions.reduce((sum, { count }) => sum + count, 0)
    return { functions, entries, files: new Set(functions.map(({ file }) => file)).size }
  } finally {
    await store.close()
  }
}

async function enteredBy(work: () => Promise<unknown>): Promise<EnteredFunction[]> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  await session.post('Profiler.takePreciseCoverage')
  await work()
  const { result } = await session.post('Profiler.takePreciseCoverage')
  session.disconnect()
  return result.flatMap(({ url, functions }) => {
    const file = relative(SOURCE, url.startsWith('file:') ? fileURLToPath(url) : url)
    if (file.startsWith('..')) return []
    return functions
      .map(({ functionName, ranges }) => ({ file, name: functionName, count: ranges[0]?.count ?? 0 }))
      .filter(({ name, count }) => count > 0 && !MADE.has(name))
  })
}
