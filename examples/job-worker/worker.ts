/** Takes jobs and does them, several at a time, but no faster than a limit that all workers share. */
import type { Throttle } from 'onrush'
import type { Job, JobQueue } from './queue.ts'

export interface WorkerOptions {
  readonly queue: JobQueue
  readonly throttle: Throttle
  /** Jobs in flight at the same time. */
  readonly concurrency: number
  readonly work: (job: Job) => Promise<void>
  /** Tries that a job has. */
  readonly tries: number
}

/** Works until no job is left, or the signal tells it to stop: then the jobs in flight are finished, and no more are begun. */
export async function runWorker(options: WorkerOptions, signal: AbortSignal): Promise<void> {
  await Promise.all(Array.from({ length: options.concurrency }, () => takeJobs(options, signal)))
}

async function takeJobs({ queue, throttle, work, tries }: WorkerOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const job = await queue.take()
    if (job === undefined) return
    const next = { ...job, tries: job.tries + 1 }
    try {
      await throttle.acquire('jobs', 1, { signal })
    } catch (error) {
      // Told to stop, or nobody can say whose turn it is: the job goes back as it was.
      await queue.finish(job, job)
      if (signal.aborted) return
      throw error
    }
    try {
      await work(job)
      await queue.finish(job)
    } catch (error) {
      if (next.tries < tries) await queue.finish(job, next)
      else {
        await queue.finish(job)
        console.log(`job ${job.id} is given up: ${error}`)
      }
    }
  }
}
