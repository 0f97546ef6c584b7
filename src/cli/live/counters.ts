/** The counters of a store's masters, from INFO, and what happened between two readings of them. */
import { UsageError } from '../exit-codes.ts'
import type { LiveStore } from './connection.ts'
import { type Info, infoOf, numberIn, statistic } from './server-info.ts'

/** Sums over all masters since they started. */
export interface Counters {
  /** When they were read, in ms of a clock that only goes forward. */
  readonly at: number
  /** Calls of scripts, those that failed, and the server's time for them in µs. */
  readonly calls: number
  readonly failed: number
  readonly microseconds: number
  /** Commands of all clients. */
  readonly commands: number
  /** Keys that commands read, those within scripts too. */
  readonly read: number
  /** Keys that commands wrote, those within scripts too. */
  readonly written: number
}

/** What happened in a second. */
export interface Rates {
  /** Keys looked up, each by one check or by identical ones of one call; by other programs too. */
  readonly decisionsPerSecond: number
  /** Keys that were looked up and not written: those of refusals and of peeks. */
  readonly refusedPerSecond: number
  /** Calls of scripts. One call may decide many checks. */
  readonly callsPerSecond: number
  /** Calls of scripts that failed. */
  readonly failedPerSecond: number
  /** The server's time for one call, in µs. */
  readonly serverMicroseconds: number
  /** Commands of all clients. */
  readonly commandsPerSecond: number
}

/** Commands by which the scripts write a key's state. */
const WRITES = ['set', 'setrange', 'append']

/** @throws UsageError if the user may not run INFO */
export async function countersOf({ connection }: LiveStore): Promise<Counters> {
  const masters = await connection.masters()
  const read = await Promise.all(masters.flatMap((master) => [infoOf(master, 'stats'), infoOf(master, 'commandstats')]))
  const infos = read.filter((info): info is Info => info !== undefined)
  if (infos.length === 0) throw new UsageError('watch needs the right to run INFO, which this user does not have')
  const sum = (of: (info: Info) => number): number => infos.reduce((total, info) => total + of(info), 0)
  return {
    at: performance.now(),
    calls: sum((info) => statistic(info, 'cmdstat_evalsha', 'calls')),
    failed: sum((info) => statistic(info, 'cmdstat_evalsha', 'failed_calls')),
    microseconds: sum((info) => statistic(info, 'cmdstat_evalsha', 'usec')),
    commands: sum((info) => numberIn(info, 'total_commands_processed')),
    read: sum((info) => numberIn(info, 'keyspace_hits') + numberIn(info, 'keyspace_misses')),
    written: WRITES.reduce((total, name) => total + sum((info) => statistic(info, `cmdstat_${name}`, 'calls')), 0),
  }
}

export function ratesBetween(before: Counters, now: Counters): Rates {
  const seconds = (now.at - before.at) / 1000
  const calls = now.calls - before.calls
  const perSecond = (count: number): number => Math.round(Math.max(count, 0) / seconds)
  const read = now.read - before.read
  return {
    decisionsPerSecond: perSecond(read),
    refusedPerSecond: perSecond(read - (now.written - before.written)),
    callsPerSecond: perSecond(calls),
    failedPerSecond: perSecond(now.failed - before.failed),
    serverMicroseconds: calls <= 0 ? 0 : Math.round((now.microseconds - before.microseconds) / calls),
    commandsPerSecond: perSecond(now.commands - before.commands),
  }
}
