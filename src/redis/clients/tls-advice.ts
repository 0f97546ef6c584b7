/** Explains a failed connection if only one side speaks TLS, because neither side reports that itself. */
import type { IoredisClient } from './ioredis-shape.ts'

/** Error messages for a server that did not answer in time. */
const TIMED_OUT = /timeout|timed ?out/i

/** Error messages for a connection that the server closed. */
const CLOSED = /ECONNRESET|ECONNABORTED|EPIPE|connection is closed/i

const NO_TLS =
  'by TLS: a server without it never answers the handshake, and needs redis: in place of rediss:, or no tls=true'

const TLS =
  'without TLS: a server that expects it closes the connection, and needs rediss: in place of redis:, or tls=true'

/**
 * The client's last error, with advice if a TLS mismatch is likely.
 * @param wasReady true if the server has answered before, so that TLS cannot be the reason
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
