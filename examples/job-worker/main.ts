/**
 * Two workers do 20 jobs, at most 20 a second: `npx tsx examples/job-worker/main.ts`. With REDIS_URL the jobs and the limit are
 * in that Redis, and each worker has connections of its own, as in processes of their own.
 */
import { randomUUID } from 'node:crypto'
import { type BaseStore, DictionaryStore, GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { ArrayQueue, type Job, type JobQueue, RedisQueue } from './queue.ts'
import { runWorker } from './worker.ts'

const { REDIS_URL } = process.env
const name = `jobs-${randomUUID()}`
const inProcess = { store: new DictionaryStore(), queue: new ArrayQueue() }

function connect(): { readonly store: BaseStore; readonly queue: JobQueue } {
  if (REDIS_URL === undefined) return inProcess
  return { store: new RedisStore({ url: REDIS_URL, prefix: name }), queue: new RedisQueue(REDIS_URL, name) }
}

const done: number[] = []
const starts: number[] = []

async function work({ id, tries }: Job): Promise<void> {
  starts.push(performance.now())
  if (id === 7 && tries === 0) throw new Error('the mail server hung up')
  if (id === 13) throw new Error('no such address')
  done.push(id)
}

const workers = [connect(), connect()]
const jobs = Array.from({ length: 20 }, (_, index) => ({ id: index + 1, tries: 0 }))
await workers[0]?.queue.add(jobs)
const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())

await Promise.all(
  workers.map(({ store, queue }) => {
    const throttle = new Throttle({
      limiter: new GcraLimiter({ store }),
      rate: new Quota({ count: 1, period: '50ms' }),
    })
    return runWorker({ queue, throttle, concurrency: 3, tries: 3, work }, stop.signal)
  }),
)
const seconds = ((Math.max(...starts) - Math.min(...starts)) / 1000).toFixed(2)
console.log(`${done.length} jobs were done, in ${starts.length} tries and ${seconds} s`)

for (const { store, queue } of workers) {
  await store.close()
  await queue.close()
}
