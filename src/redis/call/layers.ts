/** The layers of a throttle, compiled for Redis once: key suffixes, numbers for the scripts, and the scripts. */
import type { Layer } from '../../algorithms/driver.ts'
import { answersAfter, remoteAnswers } from '../../algorithms/remote-answers.ts'
import type { CalendarPeriod } from '../../calendar/period.ts'
import { holdsPermits } from '../../operations/permits.ts'
import { stateSuffix, ticketsNameOf } from '../../stores/state-key.ts'
import { LOG_WEIGHT } from '../limits.ts'
import { type LuaImplementation, luaImplementationOf, type Script } from './scripts.ts'

export interface CompiledLayer {
  readonly layer: Layer
  /** The end of a Redis key, after the stem. */
  readonly suffix: string
  readonly implementation: LuaImplementation
  /** Numbers per state. 0: a log. */
  readonly size: number
  /** Decodes the reply to a check. */
  readonly reply: Layer
  /** The quota as the script reads it. `fixedQuota` 1: the name of the state includes its numbers, so no other numbers write it. */
  readonly numbers: readonly [count: number, period: number, limit: number, fixedQuota: number]
  /** The period of a calendar quota, of which the script must be sent the bounds of windows. `undefined`: the period is a duration. */
  readonly calendar: CalendarPeriod | undefined
}

export class CompiledLayers {
  readonly layers: readonly Layer[]
  readonly prepared: readonly CompiledLayer[]
  /** Decode the reply to a check, one per layer. */
  readonly replies: readonly Layer[]
  /** Decode the reply to an operation, one per layer. That reply describes the states after the operation. */
  readonly repliesAfter: readonly Layer[]
  /** The only layer. `undefined`: there are several. */
  readonly onlyLayer: CompiledLayer | undefined
  /** The only layer, if its state is a few packed numbers. `undefined`: there are several layers, or the state is a log. */
  readonly onlyPackedLayer: CompiledLayer | undefined
  /** Fast script, for a call that holds only this throttle's checks, each on a different key. `undefined`: none exists, use `batch.lua`. */
  readonly script: Script | undefined
  /** The layers as arguments of the fast script: `100`, `60000000`, `100` for 100 a minute; of several layers their number first. */
  readonly texts: readonly string[]
  /** The clock argument of the fast script if the server's clock decides. -2: one layer of a fixed quota. -1: all others. */
  readonly serverClock: string
  /** One per layer: the distance in KEYS between a layer's key and the same layer's key of the next entry. */
  readonly strides: readonly number[]
  /** How many keys a check counts as. A log counts as several, because deciding on a log takes longer. */
  readonly weight: number
  /** The custom Lua of the layers. It must not run in a call with other requests. '': all algorithms are built in. */
  readonly customLua: string
  /** The ends of the Redis keys of tickets, one per layer with permits. */
  readonly ticketSuffixes: readonly string[]

  /** @throws TypeError for an algorithm without a Lua implementation. */
  constructor(layers: readonly Layer[]) {
    this.layers = layers
    this.prepared = layers.map((layer) => {
      const { algorithm, quota } = layer
      const { size } = algorithm
      const { calendar } = quota
      // The default name of a quota contains its numbers.
      const fixedQuota = quota.name === quota.stateName ? 1 : 0
      const period = calendar === undefined ? quota.periodMicroseconds : 0
      const numbers = [quota.count, period, quota.limit, fixedQuota] as const
      return {
        layer,
        suffix: stateSuffix(layer),
        implementation: luaImplementationOf(layer),
        size,
        reply: size > 0 ? layer : { algorithm: algorithm.remote ?? remoteAnswers(algorithm), quota },
        numbers,
        calendar,
      }
    })
    this.replies = this.prepared.map(({ reply }) => reply)
    this.repliesAfter = this.prepared.map(({ size, reply }) =>
      size > 0 ? reply : { ...reply, algorithm: answersAfter(reply.algorithm) },
    )
    this.onlyLayer = this.prepared.length === 1 ? this.prepared[0] : undefined
    this.onlyPackedLayer = this.onlyLayer !== undefined && this.onlyLayer.size > 0 ? this.onlyLayer : undefined
    const [implementation, other] = new Set(this.prepared.map((layer) => layer.implementation))
    const several = this.prepared.length > 1
    this.script = other === undefined ? (several ? implementation?.layeredChecks : implementation?.checks) : undefined
    const numbers = this.prepared.flatMap((layer) => layer.numbers)
    this.texts = (several ? [this.prepared.length, ...numbers] : numbers.slice(0, 3)).map(String)
    this.serverClock = !several && numbers[3] === 1 ? '-2' : '-1'
    const logs = this.prepared.filter(({ size }) => size === 0).length
    this.strides = this.prepared.map(({ size }) => (size === 0 ? logs : this.prepared.length - logs))
    this.weight = this.prepared.reduce((sum, { size }) => sum + (size > 0 ? 1 : LOG_WEIGHT), 0)
    this.customLua = layers.map(({ lua = '' }) => lua).join('')
    this.ticketSuffixes = layers.filter(holdsPermits).map((layer) => `}:${ticketsNameOf(layer)}`)
  }

  /** The end of the Redis key for an operation's additional data. Differs from every `suffix`, because no algorithm has this name as id. */
  besideSuffix(name: string): string {
    return `}:${name}${this.prepared.map(({ suffix }) => suffix.slice(1)).join('')}`
  }

  /** True if both have a state name in common, so that they share the state of a key. */
  sharesState(other: CompiledLayers): boolean {
    return this.prepared.some(({ suffix }) => other.prepared.some((theirs) => theirs.suffix === suffix))
  }

  /** True if both have quotas with the same state name but different numbers. They cannot share a call, which reads a state by one quota. */
  conflicts(other: CompiledLayers): boolean {
    return this.prepared.some(({ suffix, layer }) =>
      other.prepared.some((theirs) => theirs.suffix === suffix && !theirs.layer.quota.equals(layer.quota)),
    )
  }
}
