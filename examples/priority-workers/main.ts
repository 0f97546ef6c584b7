/** Two workers, urgent jobs first: `npx tsx examples/priority-workers/main.ts`; with REDIS_URL in processes of their own. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type Job, workerOn } from './worker.ts'

const url = process.env.REDIS_URL

if (process.send !== undefined) {
  const worker = workerOn(url ?? 'memory://', (line) => process.send?.({ line }))
  process.on('message', async (job: Job | 'stop') => {
    if (job === 'stop') worker.stop()
    else process.send?.({ job, done: await worker.work(job) })
  })
  process.on('disconnect', () => worker.close())
  process.send({ ready: true })
} else await main()

interface Worker {
  work(job: Job): Promise<boolean>
  stop(): void
  close(): unknown
}

/** A worker in a process of its own. */
async function processOf(log: (line: string) => void): Promise<Worker> {
  const child: ChildProcess = fork(process.argv[1] ?? '', { execArgv: ['--import', 'tsx'] })
  const waiting = new Map<string, (done: boolean) => void>()
  child.on('message', ({ line, job, done }: { line?: string; job?: Job; done?: boolean }) => {
    if (line !== undefined) log(line)
    if (job !== undefined) waiting.get(job.name)?.(done === true)
  })
  await once(child, 'message')
  return {
    work: (job) =>
      new Promise((resolve) => {
        waiting.set(job.name, resolve)
        child.send(job)
      }),
    stop: () => child.send('stop'),
    close: async () => {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

async function main(): Promise<void> {
  const begun: string[] = []
  const log = (line: string): void => {
    begun.push(line.replace(' begins', ''))
  }
  const shared = workerOn('memory://', log)
  const workers: readonly Worker[] =
    url === undefined ? [shared, shared] : await Promise.all([processOf(log), processOf(log)])
  const [first, second] = workers
  if (first === undefined || second === undefined) throw new Error('there is no worker')
  const usual = Array.from({ length: 6 }, (_, index) => ({ name: `usual ${index}`, priority: 0 }))
  const done = usual.map((job, index) => (index % 2 === 0 ? first : second).work(job))
  // The first two begin; the others wait.
  while (begun.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  done.push(second.work({ name: 'urgent', priority: 5 }))
  const outcomes = await Promise.all(done)
  console.log(`${outcomes.filter(Boolean).length} of 7 jobs are done`)
  console.log(begun.indexOf('urgent') < 6 ? 'the urgent one overtook those that waited' : 'the urgent one was late')

  const last = Array.from({ length: 5 }, (_, index) => first.work({ name: `last ${index}`, priority: 0 }))
  while (begun.length < 9) await new Promise((resolve) => setTimeout(resolve, 5))
  first.stop()
  const left = await Promise.all(last)
  const finished = left.filter(Boolean).length
  console.log(finished >= 2 && finished < 5 ? 'what ran was finished, the rest was left' : `${finished} were done`)
  for (const worker of new Set(workers)) await worker.close()
}
