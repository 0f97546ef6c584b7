/**
 * What happens inside, for whoever listens: channels of `node:diagnostics_channel`. Where nobody does, an event is neither
 * made nor sent. No event holds a key, unless the throttle was told to publish keys.
 */
import * as diagnostics from 'node:diagnostics_channel'
import { named } from './arguments.ts'
import type { RateLimitResult } from './result.ts'

/** Somebody asked to spend, and has been answered; or the asking has failed. */
export interface DecisionEvent {
  /** How it was asked; `check` stands for `peek` and the Sync forms too. */
  readonly method: 'check' | 'checkAll' | 'reserve' | 'acquire'
  /** The name of the quota that binds; of a check that failed, of the first. A fallback's shares have the names of the whole. */
  readonly policy: string
  /** Units asked for, of a `checkAll` by all its subjects; 0 only looked. */
  readonly quantity: number
  /** ms from the question to the answer; of `acquire` with the wait. */
  readonly duration: number
  /** What the caller was told; in shadow mode `wouldLimit` tells what was decided. */
  readonly result?: RateLimitResult | undefined
  /** Why there is no result. */
  readonly error?: unknown
  /** The keys asked about, of throttles with `publishKeys` only. */
  readonly keys: readonly string[]
}

/** A call to Redis that decided several checks has returned, or has failed. */
export interface BatchEvent {
  /** Checks that were decided in it. */
  readonly checks: number
  /** Keys in Redis that it read. */
  readonly keys: number
  /** ms from sending it to its reply. */
  readonly duration: number
  /** Why it failed. */
  readonly error?: unknown
}

/** `closed`: the primary is asked; `open`: the fallback alone; `half-open`: the fallback alone, while the primary is probed. */
export type FailoverState = 'closed' | 'open' | 'half-open'

/** A state that has just begun. */
export interface FailoverChange {
  /** Who is asked from now on. */
  readonly state: FailoverState
  /** Of `open`: the failure that opened it. */
  readonly cause?: unknown
}

/** A `FailoverStore` has changed its state. */
export interface FailoverEvent extends FailoverChange {
  /** Which store has changed. */
  readonly store: {
    /** Its state now, which may be a later one than that of the event. */
    readonly state: FailoverState
  }
}

/** A server did not know a script, and has been given it: at first use, after a restart, a `SCRIPT FLUSH` or a failover. */
export interface ScriptEvent {
  /** The SHA-1 of the script, as `SCRIPT EXISTS` takes it. */
  readonly sha1: string
}

/** Something is set up in a way that harms limits. It is a warning of the process too, with the same code. */
export interface WarningEvent {
  /** Stable, for programs. */
  readonly code: 'ONRUSH_EVICTION' | 'ONRUSH_CLIENT_SENDS_AGAIN'
  /** What is wrong and what to do, for people. */
  readonly message: string
}

/** What each channel carries. */
export interface Events {
  /** Each check, reservation and turn, when it is answered or has failed. */
  readonly 'onrush:decision': DecisionEvent
  /** Each call to Redis that decided checks, when its reply has come. */
  readonly 'onrush:batch': BatchEvent
  /** Each change of state of a `FailoverStore`. */
  readonly 'onrush:failover': FailoverEvent
  /** Each loading of a script by a server. */
  readonly 'onrush:script': ScriptEvent
  /** Each warning of a setting that harms limits. */
  readonly 'onrush:warning': WarningEvent
}

const CHANNELS: ReadonlySet<string> = new Set(
  ['decision', 'batch', 'failover', 'script', 'warning'].map((name) => `onrush:${name}`),
)

interface Publisher<Event> {
  readonly hasSubscribers: boolean
  publish(event: Event): void
}

export const decisions: Publisher<DecisionEvent> = diagnostics.channel('onrush:decision')
export const batches: Publisher<BatchEvent> = diagnostics.channel('onrush:batch')
export const failovers: Publisher<FailoverEvent> = diagnostics.channel('onrush:failover')
export const scripts: Publisher<ScriptEvent> = diagnostics.channel('onrush:script')
export const warnings: Publisher<WarningEvent> = diagnostics.channel('onrush:warning')

/**
 * Calls `listener` with each event of a channel, at once and in its publisher's turn; what it throws becomes an uncaught
 * exception, as for every subscriber of `node:diagnostics_channel`.
 * @returns ends it
 * @throws RangeError for a name that is none of ours
 */
export function subscribe<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
  if (!CHANNELS.has(name)) throw new RangeError(`name must be one of ${[...CHANNELS].join(', ')}, got ${named(name)}`)
  // Nothing but the publishers above writes to these channels.
  const receive = (message: unknown): void => listener(message as Events[Name])
  diagnostics.subscribe(name, receive)
  return () => {
    diagnostics.unsubscribe(name, receive)
  }
}
