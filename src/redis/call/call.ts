/** A call as it is sent, and what its reply must be. */
import type { ScriptCall } from '../clients/client.ts'
import type { CompiledLayer } from './layers.ts'
import type { Script } from './scripts.ts'

export interface Call extends ScriptCall {
  readonly script: Script
  /** How many of the keys are values. They come first. */
  readonly values: number
  /** The text that the reply must start with. */
  readonly echo: string
  /** Expected length of the reply, in bytes. */
  readonly replyLength: number
  /** Where to find the state of each cell, in the order of entries, subjects and layers: an index in `packed`. Below 0: a log. */
  readonly stateIndexes: readonly number[]
  /** The layers whose states the reply holds, in order. */
  readonly packed: readonly CompiledLayer[]
  /** True if the reply may be a byte longer, which says that the server has refused MSETEX. */
  readonly isGrouped: boolean
  /** True if the call holds bounds of calendar windows, so that the reply may be that the server's time lies outside of them. */
  readonly bounded: boolean
}
