/** Why a client of the store's own has no connection, where one side speaks TLS and the other does not: neither says so. */
import type { IoredisClient } from './ioredis-shape.ts'

/** What clients say of a server that was too late. */
const TIMED_OUT = /timeout|timed ?out/i

/** What clients say of a server that closed the connection. */
const CLOSED = /ECONNRESET|ECONNABORTED|EPIPE|connection is closed/i

const NO_TLS =
  'by TLS: a server without it never answers the handshake, and needs redis: in place of rediss:, or no tls=true'

const TLS =
  'without TLS: a server that expects it closes the connection, and needs rediss: in place of redis:, or tls=true'

/**
 * What the client said last, and what to look at.
 * @param wasReady true where the server has answered before, so that its TLS is not the reason
 */
export function withTlsAdvice(client: IoredisClient, failure: unknown, wasReady: boolean): unknown {
  const said = failure instanceof Error ? failure.message : undefined
  const waits = client.status === 'connecting' && failure === undefined
  if (isEncrypted(client)) {
    const late = waits || (said !== undefined && TIMED_OUT.test(said))
    return late ? new Error(`${said ?? 'no connection yet'} (${NO_TLS})`, { cause: failure }) : failure
  }
  const closed = !wasReady && said !== undefined && CLOSED.test(said)
  return closed ? new Error(`${said} (${TLS})`, { cause: failure }) : failure
}

function isEncrypted({ options }: IoredisClient): boolean {
  return Boolean(options.tls ?? options.sentinelTLS ?? options.redisOptions?.tls)
}
