/** Works on jobs, at most so many at once over all workers. Stops gracefully: what runs is finished, what waits is left to others. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyLimiter, Quota, storeFromUrl, Throttle } from 'onrush'

export interface Job {
  readonly name: string
  readonly priority: number
}

export function workerOn(url: string, log: (line: string) => void) {
  const store = storeFromUrl(url)
  const limiter = new ConcurrencyLimiter({ store })
  const running = new Throttle({ limiter, rate: Quota.concurrent(2, { lease: '5s', name: 'jobs' }) })
  const stopping = new AbortController()

  return {
    /** True: the job is done. False: it was left. */
    async work({ name, priority }: Job): Promise<boolean> {
      try {
        await using permit = await running.reserve('jobs', 1, { maxWait: '30s', priority, signal: stopping.signal })
        if (permit.result.limited) return false
        log(`${name} begins`)
        // Not aborted by the shutdown: only where the permit is lost.
        await sleep(40, undefined, { signal: permit.signal })
        return true
      } catch (error) {
        if (stopping.signal.aborted) return false
        throw error
      }
    },

    /** Takes no more jobs. */
    stop(): void {
      stopping.abort()
    },

    close: () => store.close(),
  }
}
