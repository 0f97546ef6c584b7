/**
 * Events about decisions, batches and faults, on channels of `node:diagnostics_channel`. An event is made only if its channel has
 * subscribers, and holds keys only for throttles with `publishKeys`.
 */
import { named } from './arguments.ts'
import { localChannels } from './local-channels.ts'
import type { RateLimitResult } from './result.ts'
import { builtin } from './runtime.ts'

/** A check, reservation or turn was decided, or failed. */
export interface DecisionEvent {
  /** The method called; `check` stands for `peek`, `checkUpTo`, `checkNow` and the Sync forms too. */
  readonly method: 'check' | 'checkAll' | 'reserve' | 'reserveAll' | 'acquire'
  /** The name of the quota that binds, or of the first quota if the check failed. A fallback's share has the name of the whole quota. */
  readonly policy: string
  /** Units asked for; for `checkAll` and `reserveAll` the sum over their subjects. 0: a peek, which spends nothing. `result.spent` has the units spent. */
  readonly quantity: number
  /** Milliseconds from the call to its result; for `acquire` this includes the wait. */
  readonly duration: number
  /** The caller's result; in shadow mode `wouldLimit` has the real decision. `undefined`: the call failed. */
  readonly result?: RateLimitResult | undefined
  /** The failure. `undefined`: the call has a result. */
  readonly error?: unknown
  /** The keys checked, but only those of throttles with `publishKeys`. */
  readonly keys: readonly string[]
}

/** A key was blocked or unblocked by a call. Lock-outs are not among these: the decision that starts one has `result.blockedUntil`. */
export interface BlockEvent {
  /** The method called. */
  readonly method: 'block' | 'unblock'
  /** The name of the block. */
  readonly name: string
  /** The caller's result; `blockedUntil` tells how long the key is blocked. */
  readonly result: RateLimitResult
  /** The reason that the caller gave. `undefined`: none. */
  readonly reason?: string | undefined
  /** The key, but only of a throttle with `publishKeys`. */
  readonly keys: readonly string[]
}

/** A call to Redis that decided several checks returned or failed. */
export interface BatchEvent {
  /** Checks in the call. */
  readonly checks: number
  /** Redis keys that the call read. */
  readonly keys: number
  /** Units that the call has leased to this process, beside those of its checks. 0 if it failed. */
  readonly leased: number
  /** Milliseconds from sending the call to its reply. */
  readonly duration: number
  /** The failure. `undefined`: the call succeeded. */
  readonly error?: unknown
}

/** A lease has ended: its units are used up, its time is over, or it was given up, for example by a `clear`. */
export interface LeaseEvent {
  /** The name of the quota, of several layers that of the first. */
  readonly policy: string
  /** Units that were charged for the lease. */
  readonly charged: number
  /** Units that were spent from it. */
  readonly used: number
  /** Units that were charged and not spent: `charged - used`. They come back as all spent units do. */
  readonly lapsed: number
}

/** `closed`: the primary is asked; `open`: the fallback alone; `half-open`: the fallback alone, while the primary is probed. */
export type FailoverState = 'closed' | 'open' | 'half-open'

/** A state that a `FailoverStore` has just entered. */
export interface FailoverChange {
  /** The new state. */
  readonly state: FailoverState
  /** For `open`: the failure that opened the circuit. */
  readonly cause?: unknown
}

/** A `FailoverStore` changed its state. */
export interface FailoverEvent extends FailoverChange {
  /** The store that changed. */
  readonly store: {
    /** The store's current state, which may be newer than the event's. */
    readonly state: FailoverState
  }
}

/** A script was loaded, because the server did not know it: at first use, or after a restart, a `SCRIPT FLUSH` or a failover. */
export interface ScriptEvent {
  /** The SHA-1 of the script, as `SCRIPT EXISTS` takes it. */
  readonly sha1: string
}

/** A setting harms limits. The same warning, with the same code, is emitted as a process warning. */
export interface WarningEvent {
  /** The kind of warning, for programs; stays the same between versions. */
  readonly code: 'ONRUSH_EVICTION' | 'ONRUSH_CLIENT_SENDS_AGAIN'
  /** An explanation for people, with advice. */
  readonly message: string
}

/** The type of event on each channel. */
export interface Events {
  /** Each check, reservation and turn, when it has been decided or has failed. */
  readonly 'onrush:decision': DecisionEvent
  /** Each `throttle.block` and `throttle.unblock`, when it has been done. */
  readonly 'onrush:block': BlockEvent
  /** Each call to Redis that decides checks, when it has returned or failed. */
  readonly 'onrush:batch': BatchEvent
  /** Each lease, when it has ended. */
  readonly 'onrush:lease': LeaseEvent
  /** Each change of a `FailoverStore`'s state. */
  readonly 'onrush:failover': FailoverEvent
  /** Each script that was loaded into a server. */
  readonly 'onrush:script': ScriptEvent
  /** Each warning about a setting that harms limits. */
  readonly 'onrush:warning': WarningEvent
}

const CHANNELS: ReadonlySet<string> = new Set(
  ['decision', 'block', 'batch', 'lease', 'failover', 'script', 'warning'].map((name) => `onrush:${name}`),
)

const diagnostics = builtin('node:diagnostics_channel') ?? localChannels

interface Publisher<Event> {
  readonly hasSubscribers: boolean
  publish(event: Event): void
}

export const decisions: Publisher<DecisionEvent> = diagnostics.channel('onrush:decision')
export const blocks: Publisher<BlockEvent> = diagnostics.channel('onrush:block')
export const batches: Publisher<BatchEvent> = diagnostics.channel('onrush:batch')
export const leases: Publisher<LeaseEvent> = diagnostics.channel('onrush:lease')
export const failovers: Publisher<FailoverEvent> = diagnostics.channel('onrush:failover')
export const scripts: Publisher<ScriptEvent> = diagnostics.channel('onrush:script')
export const warnings: Publisher<WarningEvent> = diagnostics.channel('onrush:warning')

/**
 * Calls `listener` synchronously with each event of a channel. An error that the listener throws becomes an uncaught exception, as for
 * every subscriber of `node:diagnostics_channel`.
 * @returns a function that ends the subscription
 * @throws RangeError for an unknown channel name
 */
export function subscribe<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
  if (!CHANNELS.has(name)) throw new RangeError(`name must be one of ${[...CHANNELS].join(', ')}, got ${named(name)}`)
  // The type assertion holds, because only onrush publishes to these channels.
  const receive = (message: unknown): void => listener(message as Events[Name])
  diagnostics.subscribe(name, receive)
  return () => {
    diagnostics.unsubscribe(name, receive)
  }
}
