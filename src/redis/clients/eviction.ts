/** Warns if the server's eviction policy may evict keys that still count: an evicted key starts again with its full quota. */
import type { RedisConnection } from './client.ts'
import { warn } from './warn.ts'

/** Policies that refuse writes when memory is full, or that evict the least frequently used keys. */
const SAFE = /^(noeviction|allkeys-lfu|volatile-lfu)$/

/** The servers (`run_id`) already warned about, each with its policy. */
const warned = new Set<string>()

/** Reads the policy. Call this only after a decision, because the owner of a client may not have connected it before. */
export async function warnOfEviction(connection: RedisConnection): Promise<void> {
  try {
    warnOf(await connection.send('INFO', []))
  } catch {
    // A failure is ignored, because an ACL may forbid INFO.
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
