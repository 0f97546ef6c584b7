/** One of several processes that have lost the Redis server they share. Started by `test/failover/processes.test.ts`, never by hand. */
import { DictionaryStore, FailoverStore, Quota, RedisStore, Throttle } from 'onrush'
import { LIMITERS } from '../limiters.ts'

export interface Task {
  readonly url: string
  readonly instances: number
  /** As `Quota.parse` reads it. */
  readonly rate: string
  /** How often each limiter is asked. */
  readonly checks: number
}

/** Units admitted by each limiter. */
export type Admitted = readonly number[]

process.once('message', (task: Task) => {
  spend(task).then((admitted) => {
    process.send?.(admitted)
    process.disconnect()
  })
})

async function spend({ url, instances, rate, checks }: Task): Promise<Admitted> {
  const store = new FailoverStore({ primary: new RedisStore({ url }), fallback: new DictionaryStore(), instances })
  try {
    return await Promise.all(
      LIMITERS.map(async ({ Limiter }) => {
        const throttle = new Throttle({ limiter: new Limiter({ store }), rate: Quota.parse(rate) })
        const results = await Promise.all(Array.from({ length: checks }, () => throttle.check('ada')))
        return results.filter(({ limited }) => !limited).length
      }),
    )
  } finally {
    await store.close()
  }
}
