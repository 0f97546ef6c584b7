/** The members of a client of `@upstash/redis` that onrush uses. Structural, so that the package need not be installed. */

/** A `Redis` of `@upstash/redis`, told by two of its methods. */
export interface UpstashClient {
  createScript(script: string): unknown
  evalsha(sha1: string, keys: string[], args: unknown[]): Promise<unknown>
}

/** The `HttpClient` inside of it: where the server is, and what a request needs. */
export interface UpstashHttp {
  readonly baseUrl: string
  readonly headers: Readonly<Record<string, string>>
  /** Options of `fetch` for some runtimes, such as `cache`, `agent` and `backend`. */
  readonly options?: Readonly<Record<string, unknown>>
  readonly readYourWrites?: boolean
  /** Tells a replica how recent the data of its answer must be. */
  upstashSyncToken?: string
}

export function isUpstash(client: object): client is UpstashClient {
  return 'createScript' in client && 'evalsha' in client && httpOf(client) !== undefined
}

/** `undefined`: the client asks in a way of its own, through a `Requester`. */
export function httpOf(client: object): UpstashHttp | undefined {
  const http: unknown = 'client' in client ? client.client : undefined
  return isHttp(http) ? http : undefined
}

function isHttp(http: unknown): http is UpstashHttp {
  if (typeof http !== 'object' || http === null || !('baseUrl' in http) || !('headers' in http)) return false
  return typeof http.baseUrl === 'string' && typeof http.headers === 'object' && http.headers !== null
}
