/** Warns where the server pushes out keys that still count when its memory is full: such a key starts afresh, and its limit is there once more. */
import type { RedisConnection } from './client.ts'
import { warn } from './warn.ts'

/** Policies that refuse what would need memory, or that keep the keys which are asked about most. */
const SAFE = /^(noeviction|allkeys-lfu|volatile-lfu)$/

/** The servers, by what INFO calls them, that were warned of, each with its policy. */
const warned = new Set<string>()

/** Asks the server. Called when it has decided something, so that a client which its owner has yet to connect is left alone. */
export function warnOfEviction(connection: RedisConnection): void {
  // A server that does not let this user read INFO is asked no more.
  connection.send('INFO', []).then(warnOf, () => {})
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
