/** A process that competes with others for the same quotas. Started by `processes.ts`, never by hand. */
import { checkAll, Quota, RedisStore, Throttle } from 'onrush'
import { limiterNamed } from '../limiters.ts'
import { SwappingStore } from '../stores/swapping-store.ts'
import type { Job, JobResult, JobSubject, Reply, Request } from './job.ts'

interface Prepared {
  readonly job: Job
  readonly redis: RedisStore
  readonly throttles: readonly Throttle[]
}

let prepared: Prepared | undefined

process.on('message', (request: Request) => {
  answer(request).then(send, (error: unknown) =>
    send({ error: error instanceof Error ? `${error.stack}` : `${error}` }),
  )
})
process.on('disconnect', () => process.exit())

async function answer(request: Request): Promise<Reply> {
  if (request !== 'go') {
    prepared = await prepare(request.prepare)
    return 'ready'
  }
  if (prepared === undefined) throw new Error('told to go before there was a job')
  const admitted = await compete(prepared)
  await prepared.redis.close()
  return { admitted }
}

async function prepare(job: Job): Promise<Prepared> {
  const redis = new RedisStore({ url: job.url, prefix: job.prefix, timeout: 30_000 })
  const store = job.store === 'redis' ? redis : new SwappingStore(redis)
  const throttles = job.throttles.map(
    (layers) =>
      new Throttle({
        layers: layers.map(({ limiter, rate }) => {
          const Limiter = limiterNamed(limiter)
          return { limiter: new Limiter({ store }), rate: Quota.parseAll(rate) }
        }),
      }),
  )
  await redis.ping()
  return { job, redis, throttles }
}

async function compete({ job, throttles }: Prepared): Promise<JobResult> {
  const admitted = job.questions.map(() => 0)
  for (const quantity of job.quantities) {
    const results = await Promise.all(job.questions.map((question) => ask(question, throttles, quantity)))
    results.forEach(({ limited }, index) => {
      if (!limited) admitted[index] = (admitted[index] ?? 0) + quantity
    })
  }
  return admitted
}

function ask(question: readonly JobSubject[], throttles: readonly Throttle[], quantity: number) {
  const subjects = question.map(({ throttle, key }) => {
    const found = throttles[throttle]
    if (found === undefined) throw new Error(`the job has no throttle ${throttle}`)
    return { throttle: found, key, quantity }
  })
  const [only] = subjects
  return subjects.length === 1 && only !== undefined ? only.throttle.check(only.key, quantity) : checkAll(subjects)
}

function send(reply: Reply): void {
  process.send?.(reply)
}
