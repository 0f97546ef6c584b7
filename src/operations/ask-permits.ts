/**
 * Asks for permits, and spends in the other layers in the same step. A caller who is refused by permits alone may stand in a queue. Nobody is
 * admitted to a blocked key, and nobody stands in its queue.
 * Lua: `lua/operations/permits.lua`.
 */
import { isBlocked } from '../algorithms/block.ts'
import { isPayable, strikeIfShort, withBlock } from '../algorithms/blockable.ts'
import { combineLayers } from '../algorithms/combine.ts'
import { answer, type Layer } from '../algorithms/driver.ts'
import { neededIn, spentIn } from '../algorithms/terms.ts'
import type { RateLimitResult } from '../result.ts'
import type { Applied, Change, Found, Operation } from './operation.ts'
import { asSeen } from './peek-at-permits.ts'
import type { PermitRoom } from './permit-room.ts'
import {
  closeRooms,
  headerNumbers,
  holdsPermits,
  type PermitsAsked,
  roomsIn,
  speakerNumbers,
  takeHeaders,
} from './permits.ts'
import { marksOf, type Spent } from './reserve.ts'
import { BLOCKED, HELD, NO_ROOM, QUEUE_FULL, WAITS } from './ticket-status.ts'

export interface PermitAsk extends PermitsAsked {
  readonly serial: number
  /** Units that the caller asks for in all layers. */
  readonly quantity: number
  /** How many others may wait if the caller is to wait. Below 0: the caller does not wait. */
  readonly queue: number
  readonly priority: number
  /** The caller's turn, if it has one that was taken from it. Below 0: none. */
  readonly turn: number
}

/** The answer to a caller who asks for permits. */
export interface Asked extends Spent {
  /** `HELD`, `WAITS`, `NO_ROOM`, `QUEUE_FULL` or `BLOCKED`. */
  readonly status: number
  /** The token if held, the turn if waiting; else 0. */
  readonly value: number
  /** True if the other layers were spent in this step. False for a ticket that was held before, or that was handed its permit. */
  readonly spent: boolean
  /** True if more could be handed over than one step may. */
  readonly more: boolean
  /** When it was decided, in µs by the clock that decided. */
  readonly now: number
}

interface Outcome {
  readonly status: number
  readonly value: number
  readonly spent: boolean
  readonly more: boolean
}

const NUMBERS = 4

export const askPermits: Operation<PermitAsk, Asked> = {
  method: 'reserve',
  code: 11,
  inOrder: false,
  together: true,
  tickets: true,

  quantity: ({ quantity }) => quantity,

  numbers: (asked, layers) => [
    ...speakerNumbers(asked),
    asked.serial,
    asked.queue,
    asked.priority,
    asked.turn,
    maySpendOnce(asked, layers) ? 1 : 0,
  ],

  replies: (layers) => NUMBERS + headerNumbers(layers),

  answered: (result, marks) => ({
    result,
    units: result.spent,
    marks: result.limited ? undefined : marks,
    status: result.limited ? NO_ROOM : HELD,
    value: 0,
    spent: !result.limited,
    more: false,
    now: 0,
  }),

  apply(found, asked, now) {
    const units = found.layers.map((layer) => spentIn(layer, asked.quantity))
    if (found.block !== undefined && isBlocked(found.block.state, now)) return refuseBlocked(found, asked, now)
    const outcome = found.said === undefined ? decide(found, asked, units, now) : replay(found, found.said, units, now)
    const { status, spent } = outcome
    const changes: Change[] = found.said === undefined ? closeRooms(found, now) : []
    if (spent) {
      for (const [index, layer] of found.layers.entries())
        if (!holdsPermits(layer) && (units[index] ?? 0) > 0) changes[index] = 'spent'
    }
    if (status === NO_ROOM && maySpendOnce(asked, found.layers))
      strikeIfShort({ ...found, block: found.block, quantity: asked.quantity, terms: undefined }, now)
    const result = withBlock(resultOf(found, asked.quantity, status === HELD, now), found.block, now)
    const marks = spent ? marksOf(found, now) : undefined
    return { changes, answer: { ...outcome, result, units: result.spent, marks, now } }
  },
}

/** True if the caller does not wait, and asks for what each layer could grant: a refusal by a rate may then start a lock-out. */
function maySpendOnce({ quantity, queue }: PermitAsk, layers: readonly Layer[]): boolean {
  return queue < 0 && isPayable({ layers, quantity, terms: undefined })
}

/** A blocked key: nothing changes, not even what has lapsed. */
function refuseBlocked(found: Found, { quantity }: PermitAsk, now: number): Applied<Asked> {
  const result = withBlock(resultOf(asSeen(found, now, NUMBERS), quantity, false, now), found.block, now)
  const nothing = { value: 0, spent: false, more: false, units: 0, marks: undefined }
  return { changes: [], answer: { status: BLOCKED, ...nothing, result, now } }
}

function resultOf({ layers, states }: Found, quantity: number, isHeld: boolean, now: number): RateLimitResult {
  return combineLayers(
    layers.map((layer, index) => {
      const spent = isHeld ? spentIn(layer, quantity) : 0
      return answer(layer, states[index], neededIn(layer, quantity, undefined), isHeld, spent, now)
    }),
    layers,
    quantity,
  )
}

function decide(found: Found, asked: PermitAsk, units: readonly number[], now: number): Outcome {
  const rooms = roomsIn(found, asked, now)
  // What has lapsed goes to those who wait first, of whom some may be dead: then the caller's turn has come.
  let more = leaveRooms(rooms, asked)
  const asking = rooms.flatMap((room, index) => {
    const quantity = units[index] ?? 0
    return room === undefined || quantity === 0
      ? []
      : [{ room, ticket: { holder: asked.holder, serial: asked.serial, quantity } }]
  })
  const [only] = asking
  const scores = asking.map(({ room, ticket }) => room.find(ticket))
  let status = NO_ROOM
  let value = 0
  let spent = false
  if (scores.length > 0 && scores.every((score) => score !== undefined && score > 0)) {
    status = HELD
    asking.forEach(({ room, ticket }, index) => {
      const token = room.renew(ticket)
      if (index === 0) value = token
    })
  } else if (asking.length === 1 && only !== undefined && scores[0] !== undefined) {
    status = WAITS
  } else {
    // After a clear of one layer only some layers know the ticket: all layers are asked anew.
    asking.forEach(({ room, ticket }, index) => {
      if (scores[index] !== undefined) room.end(ticket)
    })
    const hasRoom = found.layers.every(
      (layer, index) =>
        rooms[index] !== undefined ||
        neededIn(layer, asked.quantity, undefined) <= layer.algorithm.available(found.states[index], now, layer.quota),
    )
    if (hasRoom && asking.every(({ room, ticket }) => room.admits(ticket.quantity, asked.priority, asked.turn))) {
      status = HELD
      spent = true
      spend(found, units, now)
      asking.forEach(({ room, ticket }, index) => {
        const token = room.admit(ticket)
        if (index === 0) value = token
      })
    } else if (hasRoom && asked.queue >= 0 && asking.length === 1 && only?.room.canFit(only.ticket.quantity)) {
      const { room, ticket } = only
      status = room.waiting < asked.queue ? WAITS : QUEUE_FULL
      if (status === WAITS) room.stand(ticket, asked, asked.priority, asked.turn)
    }
  }
  if (leaveRooms(rooms, asked)) more = true
  // Those before a ticket that has just begun to wait may have been dropped.
  if (status === WAITS && only !== undefined) [status, value] = only.room.answer(only.ticket, true)
  return { status, value, spent, more }
}

/** Returns true if more could be handed over than one step may. */
function leaveRooms(rooms: readonly (PermitRoom | undefined)[], asked: PermitsAsked): boolean {
  let more = false
  for (const room of rooms) {
    room?.hear(asked)
    if (room?.handOver() === true) more = true
  }
  return more
}

function spend({ layers, states, present }: Found, units: readonly number[], now: number): void {
  for (const [index, layer] of layers.entries()) {
    const quantity = units[index] ?? 0
    if (holdsPermits(layer) || quantity === 0) continue
    states[index] = layer.algorithm.spend(states[index], quantity, now, layer.quota)
    present[index] = true
  }
}

function replay(found: Found, said: readonly number[], units: readonly number[], now: number): Outcome {
  const [status = NO_ROOM, value = 0, spent = 0, more = 0] = said
  takeHeaders(found, said, NUMBERS)
  if (spent === 1) spend(found, units, now)
  return { status, value, spent: spent === 1, more: more === 1 }
}
