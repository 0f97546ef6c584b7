/** A gateway before a language model: each API key has requests a minute and calls in flight, and each tenant calls in flight. */
import { type BaseStore, ConcurrencyLimiter, GcraLimiter, Quota, type Reservation, Throttle } from 'onrush'

export interface Caller {
  readonly key: string
  readonly tenant: string
}

/** A stream of words. Stops when the signal aborts. */
export type Model = (prompt: string, signal: AbortSignal) => AsyncIterable<string>

export class BusyError extends Error {
  /** ms. */
  readonly retryAfter: number

  constructor({ quota, retryAfter }: Reservation['result']) {
    super(`busy: ${quota.name}`)
    this.retryAfter = retryAfter
  }
}

export function gatewayTo(model: Model, store: BaseStore) {
  const limiter = new ConcurrencyLimiter({ store })
  const tenants = new Throttle({ limiter, rate: Quota.concurrent(3, { lease: '2s', name: 'tenant' }) })
  const keys = new Throttle({
    layers: [
      { limiter: new GcraLimiter({ store }), rate: Quota.perMinute(60, { name: 'requests' }) },
      { limiter, rate: Quota.concurrent(2, { lease: '2s', name: 'key' }) },
    ],
  })

  /** Streams an answer. Whatever ends the stream (its end, an error, a reader that leaves) ends the permits. */
  return async function* ask({ key, tenant }: Caller, prompt: string, client: AbortSignal): AsyncIterable<string> {
    await using ofTenant = await tenants.reserve(tenant, 1, { maxWait: 500, signal: client })
    if (ofTenant.result.limited) throw new BusyError(ofTenant.result)
    await using ofKey = await keys.reserve(key, 1, { maxWait: 500, signal: client })
    if (ofKey.result.limited) throw new BusyError(ofKey.result)
    yield* model(prompt, AbortSignal.any([client, ofKey.signal, ofTenant.signal]))
    // The request was made: it stays spent. Without this, the rate would be given back.
    await ofKey.settle()
  }
}
