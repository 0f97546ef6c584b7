/** Encodes a batch as KEYS and ARGV of `lua/scripts/tickets.lua`, for calls that hold only operations on permits. */
import { spentIn } from '../../algorithms/terms.ts'
import { askPermits } from '../../operations/ask-permits.ts'
import { peekAtPermits } from '../../operations/peek-at-permits.ts'
import type { KeyNames } from '../keys.ts'
import type { Batch } from './batch.ts'
import type { Call } from './call.ts'
import type { CompiledLayer } from './layers.ts'
import type { Entry } from './request.ts'
import { ECHO_LENGTH, nextEcho } from './run-script.ts'
import { TICKETS } from './scripts.ts'
import { bytesOf } from './state-records.ts'

/** A key, whose operations all are of one quota. */
interface Room {
  /** From 1. */
  readonly index: number
  readonly layer: CompiledLayer
}

/** `undefined`: the batch holds something else too. */
export function callOfTickets({ entries }: Batch, names: KeyNames, now: number): Call | undefined {
  if (entries[0]?.operation?.tickets !== true) return undefined
  const rooms = new Map<string, Room>()
  const packed: CompiledLayer[] = []
  const values: string[] = []
  const sets: string[] = []
  const numbers: number[] = []
  const operations: number[] = []
  const stateIndexes: number[] = []
  let replied = 8
  for (const { key, decider, operation, quantity } of entries) {
    const layer = onlyPermitsOf(decider)
    if (layer === undefined || operation === undefined || !isOnPermits(operation.code)) return undefined
    let room = rooms.get(key)
    if (room === undefined) {
      const stem = names.stem(key)
      room = { index: packed.push(layer), layer }
      rooms.set(key, room)
      values.push(`${stem}}`)
      sets.push(stem + decider.ticketSuffixes[0])
      const [id, count, period] = layer.numbers
      numbers.push(id, count, period)
      replied += bytesOf(layer.size)
    } else if (room.layer.signature !== layer.signature) return undefined
    stateIndexes.push(room.index - 1)
    const own = operation.numbers
    operations.push(operation.code, room.index, spentIn(layer.layer, quantity), own.length)
    for (const number of own) operations.push(number)
    replied += 8 * operation.replies
  }
  const echo = nextEcho()
  return {
    script: TICKETS,
    keys: values.concat(sets),
    values: values.length,
    args: [echo, `[${now},${values.length},${numbers.join(',')},${operations.join(',')}]`],
    echo,
    replyLength: ECHO_LENGTH + replied,
    stateIndexes,
    packed,
    isGrouped: false,
    bounded: false,
  }
}

/** The layer, if it is the only one and holds permits, and nothing blocks its keys. */
function onlyPermitsOf({ prepared, ticketSuffixes, block }: Entry['decider']): CompiledLayer | undefined {
  return prepared.length === 1 && ticketSuffixes.length === 1 && block === undefined ? prepared[0] : undefined
}

function isOnPermits(code: number): boolean {
  return code >= askPermits.code && code <= peekAtPermits.code
}
