/** A client of the vendor's API that waits its turn, whatever its callers do: all processes on one Redis share the turns. */
import { type BaseStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { outboundFetch } from 'onrush/outbound'

export class VendorClient {
  readonly #url: string
  readonly #fetch: typeof fetch

  constructor(url: string, store: BaseStore) {
    this.#url = url
    // One call each 40 ms are 25 a second. Were many allowed at once, as many more could follow in the same second; and the
    // vendor's own burst is kept for calls that come late, when those behind them come closer together.
    const throttle = new Throttle({
      limiter: new GcraLimiter({ store }),
      rate: new Quota({ count: 1, period: '40ms' }),
      // When the vendor refuses one call, all processes pause.
      blocks: true,
    })
    this.#fetch = outboundFetch({ throttle, key: 'vendor', longest: '1m' })
  }

  /** Rejects when `signal` ends the wait; the turn is then given back where nobody has taken a later one. */
  async call(path: string, signal?: AbortSignal): Promise<number> {
    const response = await this.#fetch(this.#url + path, signal === undefined ? {} : { signal })
    await response.arrayBuffer()
    // The next turn comes after the vendor's pause.
    return response.status === 429 ? this.call(path, signal) : response.status
  }
}
