/** The layers of a throttle, compiled for Redis once: ids of states, key suffixes of logs, numbers for the scripts, and the scripts. */
import type { BlockLayer } from '../../algorithms/block.ts'
import { type Layer, stateNameOf } from '../../algorithms/driver.ts'
import { answersAfter, remoteAnswers } from '../../algorithms/remote-answers.ts'
import type { CalendarPeriod } from '../../calendar/period.ts'
import { holdsPermits } from '../../operations/permits.ts'
import { costSuffix, stateSuffix, ticketsNameOf } from '../../stores/state-key.ts'
import { bulk } from '../clients/protocol.ts'
import { LOG_WEIGHT, LOG_WEIGHT_ALONE } from '../limits.ts'
import {
  checksScriptOf,
  type LuaImplementation,
  luaImplementationOf,
  luaImplementationOfBlock,
  type Script,
} from './scripts.ts'
import { bytesOf, stateId } from './state-records.ts'

export interface CompiledLayer {
  readonly layer: Layer
  /** The end of a log's Redis key, after the stem. Also tells apart the states of small numbers, which share a key. */
  readonly suffix: string
  readonly implementation: LuaImplementation
  /** Numbers per state. 0: a log. */
  readonly size: number
  /** Bytes of a record in a reply. A log has none. */
  readonly bytes: number
  /** Decodes the reply to a check. */
  readonly reply: Layer
  /** The state and the quota as the scripts read them. The id of a log is 0. */
  readonly numbers: readonly [id: number, count: number, period: number, limit: number]
  /** The period of a calendar quota, of which the script must be sent the bounds of windows. `undefined`: the period is a duration. */
  readonly calendar: CalendarPeriod | undefined
  /** Equal for layers of the same algorithm, state and numbers. */
  readonly signature: string
}

/** What all calls of one check of one unit share, on the server's clock. */
export interface PlainCheck {
  readonly script: Script
  /** The arguments after the echo. */
  readonly args: readonly string[]
  readonly stateIndexes: readonly number[]
  /** The command up to the key, and from the echo's end on. */
  readonly start: string
  readonly end: string
}

export class CompiledLayers {
  readonly layers: readonly Layer[]
  readonly prepared: readonly CompiledLayer[]
  /** The block of the keys. `undefined`: they cannot be blocked. */
  readonly block: BlockLayer | undefined
  /** The same, compiled. */
  readonly preparedBlock: CompiledLayer | undefined
  /** Decode the reply to a check, one per layer. */
  readonly replies: readonly Layer[]
  /** Decode the reply to an operation, one per layer. That reply describes the states after the operation. */
  readonly repliesAfter: readonly Layer[]
  /** True if a layer has a quantity of its own. The fast scripts spend the same in all layers. */
  readonly hasOwnQuantities: boolean
  /** The only layer. `undefined`: there are several, or the layer has a quantity of its own. */
  readonly onlyLayer: CompiledLayer | undefined
  /** Fast script, for a call that holds only this throttle's checks, each on a different key. `undefined`: none exists, use `batch.lua`. */
  readonly script: Script | undefined
  /** For the call of one check of one unit. `undefined`: the layers have no fast script, or are a log. */
  readonly plainCheck: PlainCheck | undefined
  /** True if `subjects.lua` can decide checks of these layers, also beside other throttles', and together with them. */
  readonly suitsSubjects: boolean
  /** The layers as arguments of the fast script: `<id>`, `100`, `60000000`, `100` for 100 a minute. */
  readonly texts: readonly string[]
  /** Bytes per check in the reply of the fast script. */
  readonly replied: number
  /** True if any layer keeps a small state, so that the key has a value. */
  readonly hasValue: boolean
  /** One per layer, and one for the block: the distance in KEYS between the key of a state and that of the next entry. */
  readonly strides: readonly number[]
  /** How many keys a check counts as. A log counts as several, and without a fast script each layer as one, because deciding takes longer. */
  readonly weight: number
  /** The custom Lua of the layers. It must not run in a call with other requests. '': all algorithms are built in. */
  readonly customLua: string
  /** When the names of the states are to be noted again, by the time of StateNames. */
  namesDueAt = 0
  /** The ends of the Redis keys of tickets, one per layer with permits. */
  readonly ticketSuffixes: readonly string[]

  /** @throws TypeError for an algorithm without a Lua implementation; RangeError for layers whose states have one id. */
  constructor(layers: readonly Layer[], block?: BlockLayer) {
    this.layers = layers
    this.prepared = layers.map((layer) => prepare(layer, luaImplementationOf(layer)))
    this.block = block
    this.preparedBlock = block && prepare(block, luaImplementationOfBlock(block))
    const states = this.states
    refuseCollisions(states)
    this.replies = this.prepared.map(({ reply }) => reply)
    this.repliesAfter = this.prepared.map(({ size, reply }) =>
      size > 0 ? reply : { ...reply, algorithm: answersAfter(reply.algorithm) },
    )
    this.hasOwnQuantities = layers.some(({ quantity }) => quantity !== undefined)
    this.onlyLayer = this.prepared.length === 1 && !this.hasOwnQuantities ? this.prepared[0] : undefined
    const [first] = this.prepared
    const isUniform =
      !this.hasOwnQuantities && this.prepared.every(({ implementation }) => implementation === first?.implementation)
    this.script =
      first === undefined || !isUniform || block !== undefined
        ? undefined
        : checksScriptOf(first.implementation, first.size, this.prepared.length)
    this.suitsSubjects =
      !this.hasOwnQuantities &&
      block === undefined &&
      this.prepared.every(({ implementation }) => implementation.subjects !== undefined)
    this.texts = this.prepared.flatMap(({ numbers }) => numbers.map(String))
    this.replied = this.prepared.reduce((sum, layer) => sum + repliedOf(layer), 0)
    const logs = this.prepared.filter(({ size }) => size === 0).length
    this.hasValue = logs < states.length
    this.plainCheck = this.script && this.hasValue ? plainCheckOf(this.script, this.prepared, this.texts) : undefined
    this.strides = states.map(({ size }) => (size === 0 ? logs : 1))
    if (this.script === undefined) this.weight = states.length - logs + logs * LOG_WEIGHT
    else this.weight = logs === 0 ? 1 : LOG_WEIGHT_ALONE
    this.customLua = layers.map(({ lua = '' }) => lua).join('')
    this.ticketSuffixes = layers.filter(holdsPermits).map((layer) => `}:${ticketsNameOf(layer)}`)
  }

  /** The end of the Redis key for an operation's additional data. Differs from every `suffix`, because no algorithm has this name as id. */
  besideSuffix(name: string): string {
    return `}:${name}${this.prepared.map(({ suffix, layer }) => suffix.slice(1) + costSuffix(layer)).join('')}`
  }

  /** All states of a key: those of the layers, and its block. */
  get states(): readonly CompiledLayer[] {
    return this.preparedBlock === undefined ? this.prepared : [...this.prepared, this.preparedBlock]
  }

  /** True if both have a state name in common, so that they share the state of a key. */
  sharesState(other: CompiledLayers): boolean {
    return this.states.some(({ suffix }) => other.states.some((theirs) => theirs.suffix === suffix))
  }

  /** True if both have quotas with the same state name but different numbers. They cannot share a call, which reads a state by one quota. */
  conflicts(other: CompiledLayers): boolean {
    return this.states.some(({ suffix, layer }) =>
      other.states.some((theirs) => theirs.suffix === suffix && !theirs.layer.quota.equals(layer.quota)),
    )
  }
}

function prepare(layer: Layer, implementation: LuaImplementation): CompiledLayer {
  const { algorithm, quota } = layer
  const { size } = algorithm
  const id = size === 0 ? 0 : stateId(stateNameOf(layer), size)
  const suffix = stateSuffix(layer)
  const { calendar } = quota
  const period = calendar === undefined ? quota.periodMicroseconds : 0
  const numbers = [id, quota.count, period, quota.limit] as const
  return {
    layer,
    suffix,
    implementation,
    size,
    bytes: bytesOf(size),
    reply: size > 0 ? layer : { ...layer, algorithm: algorithm.remote ?? remoteAnswers(algorithm) },
    numbers,
    calendar,
    signature: `${implementation.id} ${suffix} ${numbers.join(' ')}`,
  }
}

function plainCheckOf(script: Script, prepared: readonly CompiledLayer[], texts: readonly string[]): PlainCheck {
  const args = ['-1', ...texts]
  return {
    script,
    args,
    stateIndexes: prepared.map((_, index) => index),
    start: `*${5 + args.length}\r\n${script.evalsha}${bulk('1')}`,
    end: args.map(bulk).join(''),
  }
}

/** Bytes in the reply to a check. */
function repliedOf({ size, reply }: CompiledLayer): number {
  return size === 0 ? 8 * reply.algorithm.size : bytesOf(size)
}

/** Two states of one id would be one state. So unlikely that it was never seen. */
function refuseCollisions(prepared: readonly CompiledLayer[]): void {
  const layers = new Map<number, Layer>()
  for (const { numbers, layer, size } of prepared) {
    const [id] = numbers
    const other = layers.get(id)
    if (size > 0 && other !== undefined) {
      throw new RangeError(
        `the states ${stateNameOf(other)} and ${stateNameOf(layer)} have the same id in Redis, ${id}: give one of the quotas another name`,
      )
    }
    layers.set(id, layer)
  }
}
