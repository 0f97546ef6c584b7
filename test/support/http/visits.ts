/** Shared by the tests of every middleware: each framework on each store, and a user who asks a service. */
import { type BaseStore, GcraLimiter, Quota, Throttle } from '../../../src/index.ts'
import { frameworks, type Service } from './servers.ts'
import { stillStores } from './stores.ts'

/** Polls for long on a busy machine; ms. */
export const PATIENTLY = { timeout: 30_000 }

/** Every framework on every store, for the tests of the calling file. */
export function frameworksOnStores() {
  const stores = stillStores()
  return frameworks.flatMap(([framework, startService]) =>
    stores.map(([storeName, makeStore]) => ({ framework, startService, storeName, makeStore })),
  )
}

/** A quota of `count` an hour under a name of its own. */
export function hourlyOn(store: BaseStore, count: number, name: string): Throttle {
  return new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perHour(count, { name }) })
}

export function getFrom(service: Service | undefined, path: string, user = 'ann'): Promise<Response> {
  if (service === undefined) throw new Error('no service was started')
  return fetch(service.url + path, { headers: { 'x-user': user } })
}

export async function statusesOf(...asked: Promise<Response>[]): Promise<number[]> {
  return (await Promise.all(asked)).map(({ status }) => status)
}

/** `/401` is handled with status 401, anything else with 200. */
export function statusIn(path: string): number {
  return Number(path.slice(1)) || 200
}
