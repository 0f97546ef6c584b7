/** A process that waits in a queue with others. Started by `test/waiting/processes.test.ts`, never by hand. */
import { RedisStore, subscribe } from 'onrush'
import { queueOn, sharedClock, type Waiter, waiterOf } from './queue.ts'

export interface Task {
  readonly key: string
  readonly waiters: number
}

export interface Outcome {
  readonly waited: readonly Waiter[]
  /** The decisions made for this process meanwhile, and the number of calls. */
  readonly decisions: number
  readonly calls: number
}

const [url = '', prefix = ''] = process.argv.slice(2)
const store = new RedisStore({ url, prefix, timeout: 20_000 })
const throttle = queueOn(store)

process.on('disconnect', () => process.exit())
process.on('message', async ({ key, waiters }: Task) => {
  let decisions = 0
  let calls = 0
  const end = subscribe('onrush:batch', ({ checks }) => {
    decisions += checks
    calls++
  })
  const waited = await Promise.all(
    Array.from({ length: waiters }, async () => {
      const asked = sharedClock()
      const result = await throttle.acquire(key)
      return waiterOf(result, asked, sharedClock())
    }),
  )
  end()
  send({ waited, decisions, calls })
})
await store.ping()
send('ready')

function send(outcome: Outcome | 'ready'): void {
  process.send?.(outcome)
}
