/** A throttle's layers, made ready for Redis: the ends of their keys, their numbers, and their scripts. */
import type { Layer } from '../../algorithms/driver.ts'
import { answersAfter, remoteAnswers } from '../../algorithms/remote-answers.ts'
import { stateSuffix } from '../../stores/state-key.ts'
import { LOG_WEIGHT } from '../limits.ts'
import { type LuaImplementation, luaImplementationOf, type Script } from './scripts.ts'

export interface CompiledLayer {
  readonly layer: Layer
  /** What follows the stem of a key. */
  readonly suffix: string
  readonly implementation: LuaImplementation
  /** Numbers a state; 0 for a log. */
  readonly size: number
  /** How the reply to a check is read. */
  readonly reply: Layer
  /** Count, period, limit, and 1 where only these numbers write the state, as the script reads them. */
  readonly numbers: readonly [count: number, period: number, limit: number, fixedQuota: number]
}

export class CompiledLayers {
  readonly layers: readonly Layer[]
  readonly prepared: readonly CompiledLayer[]
  /** How the reply to a check is read, layer by layer. */
  readonly replies: readonly Layer[]
  /** How the reply to an operation is read, which says how all stands after it. */
  readonly repliesAfter: readonly Layer[]
  /** The only layer, where there is but one. */
  readonly single: CompiledLayer | undefined
  /** The only layer, where there is but one and its state is a few numbers. */
  readonly one: CompiledLayer | undefined
  /** For its checks alone, on keys that differ; `undefined`: the driver's. */
  readonly script: Script | undefined
  /** What that script is told of the layers. */
  readonly texts: readonly string[]
  /** What it is told where the server's clock counts. */
  readonly serverClock: string
  /** For each layer how far the key of the next entry lies, where entries follow each other on new keys. */
  readonly strides: readonly number[]
  /** How many keys a check of it counts as. */
  readonly weight: number
  /** The Lua of users' own algorithms among its layers: none of it may run in the call of another. Empty where all are built in. */
  readonly customLua: string

  /** @throws TypeError for an algorithm without a Lua implementation. */
  constructor(layers: readonly Layer[]) {
    this.layers = layers
    this.prepared = layers.map((layer) => {
      const { algorithm, quota } = layer
      const { size } = algorithm
      // Under a default name the numbers are in the name.
      const fixedQuota = quota.name === quota.stateName ? 1 : 0
      const numbers = [quota.count, quota.periodMicroseconds, quota.limit, fixedQuota] as const
      return {
        layer,
        suffix: stateSuffix(layer),
        implementation: luaImplementationOf(layer),
        size,
        reply: size > 0 ? layer : { algorithm: algorithm.remote ?? remoteAnswers(algorithm), quota },
        numbers,
      }
    })
    this.replies = this.prepared.map(({ reply }) => reply)
    this.repliesAfter = this.prepared.map(({ size, reply }) =>
      size > 0 ? reply : { ...reply, algorithm: answersAfter(reply.algorithm) },
    )
    this.single = this.prepared.length === 1 ? this.prepared[0] : undefined
    this.one = this.single !== undefined && this.single.size > 0 ? this.single : undefined
    const [implementation, other] = new Set(this.prepared.map((one) => one.implementation))
    const several = this.prepared.length > 1
    this.script = other === undefined ? (several ? implementation?.layeredChecks : implementation?.checks) : undefined
    const numbers = this.prepared.flatMap((one) => one.numbers)
    this.texts = (several ? [this.prepared.length, ...numbers] : numbers.slice(0, 3)).map(String)
    this.serverClock = !several && numbers[3] === 1 ? '-2' : '-1'
    const logs = this.prepared.filter(({ size }) => size === 0).length
    this.strides = this.prepared.map(({ size }) => (size === 0 ? logs : this.prepared.length - logs))
    this.weight = this.prepared.reduce((sum, { size }) => sum + (size > 0 ? 1 : LOG_WEIGHT), 0)
    this.customLua = layers.map(({ lua = '' }) => lua).join('')
  }

  /** What follows the stem of a key where operations keep something of this name beside the states; no state is called so. */
  besideSuffix(name: string): string {
    return `}:${name}${this.prepared.map(({ suffix }) => suffix.slice(1)).join('')}`
  }

  /** True where both would count one state by different numbers; a call reads a state by the numbers of one. */
  conflicts(other: CompiledLayers): boolean {
    return this.prepared.some(({ suffix, layer }) =>
      other.prepared.some((theirs) => theirs.suffix === suffix && !theirs.layer.quota.equals(layer.quota)),
    )
  }
}
