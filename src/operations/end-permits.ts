/** Ends permits, or gives up places in the queue, by their tickets. Lua: `lua/operations/permits.lua`. */
import { peek } from '../algorithms/driver.ts'
import type { Answer, Found, Operation } from './operation.ts'
import { closeRooms, headerNumbers, type PermitsAsked, roomsIn, speakerNumbers, takeHeaders } from './permits.ts'

/** A ticket without its holder, because only the holder ends a ticket or looks at it. */
export interface OwnTicket {
  readonly serial: number
  readonly quantity: number
}

/** Of one layer. */
export interface PermitEnd extends PermitsAsked {
  readonly tickets: readonly OwnTicket[]
  /** True if all of them are held, so that no request for one of them is in flight. Default: false. */
  readonly areHeld?: boolean
}

export interface Ended extends Answer {
  /** Per ticket: `HELD` or `WAITS`, which it was until now, or `UNKNOWN`. */
  readonly statuses: readonly number[]
  /** True if more could be handed over than one step may. */
  readonly more: boolean
  /** When it was decided, in µs by the clock that decided. */
  readonly now: number
}

/** Tickets that one request ends at most. */
const MOST_TICKETS = 100

export const endPermits: Operation<PermitEnd, Ended> = {
  method: 'reserve',
  code: 12,
  inOrder: false,
  together: false,
  tickets: true,

  overtakes: ({ areHeld = false }) => areHeld,

  // Ends of one turn hand their permits over together, and tell each process of all of its own by one message.
  merged: (asked, later) =>
    asked.holder === later.holder &&
    asked.listens === later.listens &&
    asked.tickets.length + later.tickets.length <= MOST_TICKETS
      ? {
          ...asked,
          tickets: [...asked.tickets, ...later.tickets],
          areHeld: asked.areHeld === true && later.areHeld === true,
        }
      : undefined,

  numbers: (asked) => [
    ...speakerNumbers(asked),
    ...asked.tickets.flatMap(({ serial, quantity }) => [serial, quantity]),
  ],

  replies: (layers, { tickets }) => 1 + tickets.length + headerNumbers(layers),

  answered: (result) => ({ result, statuses: [], more: false, now: 0 }),

  apply(found, asked, now) {
    const { layers, states, said } = found
    if (said === undefined) {
      const { statuses, more } = end(found, asked, now)
      const changes = closeRooms(found, now)
      return { changes, answer: { result: peek(layers, states, now), statuses, more, now } }
    }
    const [more = 0, ...others] = said
    takeHeaders(found, others, asked.tickets.length)
    const statuses = others.slice(0, asked.tickets.length)
    return { changes: [], answer: { result: peek(layers, states, now), statuses, more: more === 1, now } }
  },
}

function end(found: Found, asked: PermitEnd, now: number): Pick<Ended, 'statuses' | 'more'> {
  const [room] = roomsIn(found, asked, now)
  if (room === undefined) return { statuses: [], more: false }
  const statuses = asked.tickets.map((ticket) => room.end({ holder: asked.holder, ...ticket }))
  room.hear(asked)
  return { statuses, more: room.handOver() }
}
