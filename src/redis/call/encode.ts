/**
 * Encodes a batch as KEYS and ARGV, for the script that decides it for the least: here for `lua/scripts/checks.lua` and `lua/scripts/logs.lua`;
 * `encode-subjects.ts`, `encode-tickets.ts` and `encode-batch.ts` do for the others.
 */
import { byteLength } from '../../runtime.ts'
import type { KeyNames } from '../keys.ts'
import { FEWEST_GROUPED } from '../limits.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import { callOfBatch } from './encode-batch.ts'
import { callOfSubjects } from './encode-subjects.ts'
import { callOfTickets } from './encode-tickets.ts'
import type { CompiledLayer, CompiledLayers, PlainCheck } from './layers.ts'
import { mostLeased } from './request.ts'
import { ECHO_LENGTH, nextEcho } from './run-script.ts'
import type { Script } from './scripts.ts'

/**
 * @param now µs since the epoch; -1: use the server's clock
 * @param expected returns the server's time as far as this process knows it, in µs: bounds of calendar windows are sent for that time
 */
export function makeCall(batch: Batch, names: KeyNames, now: number, expected: () => number): Call {
  const { entries } = batch
  const [first] = entries
  if (entries.length === 1 && first !== undefined && now < 0) {
    const { decider, quantity, count, lease, terms, closed } = first
    const isPlain = quantity === 1 && count === 1 && terms === undefined && !closed
    if (isPlain && decider.plainCheck !== undefined && (lease === undefined || lease.most === 0))
      return new OneCheck(decider, decider.plainCheck, nameOf(first.key, names))
  }
  const decider = soleThrottle(batch)
  const script = decider?.script
  // The script for logs leases nothing.
  const isSuited = decider?.hasValue === true || !entries.some((entry) => mostLeased(entry) > 0)
  if (decider !== undefined && script !== undefined && isSuited) return callForEach(batch, decider, script, names, now)
  return (
    callOfTickets(batch, names, now) ?? callOfSubjects(batch, names, now) ?? callOfBatch(batch, names, now, expected)
  )
}

/** The only decider in the batch, if the batch holds nothing but its checks, each on a different key. Otherwise `undefined`. */
function soleThrottle({ entries, overlaps }: Batch): CompiledLayers | undefined {
  const decider = entries[0]?.decider
  if (overlaps) return undefined
  for (const entry of entries)
    if (entry.decider !== decider || entry.closed || entry.terms !== undefined) return undefined
  return decider
}

/** The name of a key's value. */
function nameOf(key: string, names: KeyNames): string {
  return names.plain.test(key) ? `${names.start}${key}}` : names.value(key)
}

/** The call of one check of one unit: most calls in a cluster, and all of a caller who asks one check after another. */
class OneCheck implements Call {
  readonly script: Script
  readonly echo = nextEcho()
  readonly values = 1
  readonly replyLength: number
  readonly stateIndexes: readonly number[]
  readonly packed: readonly CompiledLayer[]
  readonly isGrouped = false
  readonly bounded = false
  readonly #plain: PlainCheck
  readonly #name: string

  /** @param name of the key's value */
  constructor({ prepared, replied }: CompiledLayers, plain: PlainCheck, name: string) {
    this.script = plain.script
    this.replyLength = ECHO_LENGTH + 8 + replied
    this.stateIndexes = plain.stateIndexes
    this.packed = prepared
    this.#plain = plain
    this.#name = name
  }

  get text(): string {
    const { start, end } = this.#plain
    return `${start}$${byteLength(this.#name)}\r\n${this.#name}\r\n$${ECHO_LENGTH}\r\n${this.echo}\r\n${end}`
  }

  get keys(): readonly string[] {
    return [this.#name]
  }

  get args(): readonly string[] {
    return [this.echo, ...this.#plain.args]
  }
}

/** The most common call with many keys: checks of one throttle, each on a different key. */
function callForEach(
  batch: Batch,
  { prepared, texts, replied, hasValue }: CompiledLayers,
  script: Script,
  names: KeyNames,
  now: number,
): Call {
  const { entries } = batch
  const keys: string[] = []
  const stateIndexes: number[] = []
  const packed: CompiledLayer[] = []
  const echo = nextEcho()
  const args = [echo, String(now), ...texts]
  const log = hasValue ? undefined : prepared[0]
  let run = 0
  let next = entries[0]
  for (let index = 1; next !== undefined; index++) {
    const { key, quantity, count, lease } = next
    const most = lease === undefined ? 0 : lease.most
    if (log !== undefined) {
      keys.push(names.stem(key) + log.suffix)
      stateIndexes.push(A_LOG)
    } else {
      keys.push(nameOf(key, names))
      for (const layer of prepared) stateIndexes.push(packed.push(layer) - 1)
    }
    run++
    next = entries[index]
    if (next?.quantity === quantity && next.count === count && mostLeased(next) === most) continue
    // The scripts take a quantity of 1 for one caller each as the default, which saves four arguments.
    if (quantity !== 1 || count !== 1 || most > 0 || run < entries.length)
      args.push(String(run), String(quantity), String(count), String(most))
    run = 0
  }
  const isGrouped = log === undefined && entries.length >= FEWEST_GROUPED && batch.mayGroup
  if (isGrouped) args.push('1')
  const replyLength = ECHO_LENGTH + 8 + keys.length * replied
  const values = log === undefined ? keys.length : 0
  return new ManyChecks(script, keys, values, args, echo, replyLength, stateIndexes, packed, isGrouped)
}

/** A class on purpose: the text of a literal would be a closure, which slows the loop that makes the call. */
class ManyChecks implements Call {
  readonly script: Script
  readonly keys: readonly string[]
  readonly values: number
  readonly args: readonly string[]
  readonly echo: string
  readonly replyLength: number
  readonly stateIndexes: readonly number[]
  readonly packed: readonly CompiledLayer[]
  readonly isGrouped: boolean
  readonly bounded = false

  constructor(
    script: Script,
    keys: readonly string[],
    values: number,
    args: readonly string[],
    echo: string,
    replyLength: number,
    stateIndexes: readonly number[],
    packed: readonly CompiledLayer[],
    isGrouped: boolean,
  ) {
    this.script = script
    this.keys = keys
    this.values = values
    this.args = args
    this.echo = echo
    this.replyLength = replyLength
    this.stateIndexes = stateIndexes
    this.packed = packed
    this.isGrouped = isGrouped
  }

  get text(): string {
    const { keys, args, script } = this
    const count = String(keys.length)
    let text = `*${3 + keys.length + args.length}\r\n${script.evalsha}$${count.length}\r\n${count}\r\n`
    for (const key of keys) text += `$${byteLength(key)}\r\n${key}\r\n`
    for (const arg of args) text += `$${arg.length}\r\n${arg}\r\n`
    return text
  }
}

/** As an index of states: the numbers of the reply are about a log. */
const A_LOG = -1
