/** Warns if a server's eviction policy may evict keys that still count: an evicted key starts again with its full quota. */
import { LONGEST_TIMER } from '../../bounds.ts'
import { heed } from '../../signals.ts'
import type { RedisConnection } from './client.ts'
import { warn } from './warn.ts'

/** Policies that refuse writes when memory is full, or that evict the least frequently used keys. */
const SAFE = /^(noeviction|allkeys-lfu|volatile-lfu)$/

/** The servers (`run_id`) already warned about, each with its policy. */
const warned = new Set<string>()

/**
 * Reads the policy of every server that holds keys, because the nodes of a cluster may differ. Call this only after a decision, because the
 * owner of a client may not have connected it before.
 * @param timeout how long to wait for the answers, in ms
 */
export async function warnOfEviction(connection: RedisConnection, timeout: number): Promise<void> {
  const signal = AbortSignal.timeout(Math.min(Math.ceil(timeout), LONGEST_TIMER))
  try {
    const masters = await heed(connection.masters(), signal)
    await Promise.all(masters.map((master) => warnOfServer(master, signal)))
  } catch {
    // A failure is ignored: the servers of a cluster may not be known at the moment.
  }
}

async function warnOfServer(server: Pick<RedisConnection, 'send'>, signal: AbortSignal): Promise<void> {
  try {
    warnOf(await heed(server.send('INFO', []), signal))
  } catch {
    // A failure is ignored, because an ACL may forbid INFO, and a server may hang.
  }
}

function warnOf(reply: unknown): void {
  const text = String(reply)
  const policy = /^maxmemory_policy:([a-z-]+)\r?$/m.exec(text)?.[1]
  if (policy === undefined || SAFE.test(policy)) return
  const server = `${policy} ${/^run_id:(\w+)\r?$/m.exec(text)?.[1] ?? ''}`
  if (warned.has(server)) return
  warned.add(server)
  warn(
    'ONRUSH_EVICTION',
    `Redis has the maxmemory-policy ${policy}: when its memory is full it may push out the state of a limited key, which then starts afresh. ` +
      'Use noeviction, or an LFU policy; docs/reliability.md tells what each one does.',
  )
}
