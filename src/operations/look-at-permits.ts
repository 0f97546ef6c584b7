/**
 * Looks at tickets: renews those that are held, and returns the state of each. Renewals and polls are thus one operation. Lua:
 * `lua/operations/permits.lua`.
 */
import { isHeader, SOONEST } from '../algorithms/concurrency.ts'
import { peek } from '../algorithms/driver.ts'
import type { OwnTicket } from './end-permits.ts'
import type { Answer, Found, Operation } from './operation.ts'
import { closeRooms, headerNumbers, type PermitsAsked, roomsIn, speakerNumbers, takeHeaders } from './permits.ts'

/** A ticket, and what its holder knows of it. */
export interface SeenTicket extends OwnTicket {
  /** True if the holder believes that the ticket waits. If the ticket is held by now, the answer has its token. */
  readonly waits: boolean
}

/** Of one layer. */
export interface PermitLook extends PermitsAsked {
  readonly tickets: readonly SeenTicket[]
}

export interface Looked extends Answer {
  /** Per ticket: `HELD`, `WAITS` or `UNKNOWN`, and its new token or its turn. */
  readonly answers: readonly (readonly [status: number, value: number])[]
  /** When the server answered, in µs by its clock. */
  readonly now: number
  /** When the next ticket on the key lapses, of whatever holder. 0: none does. */
  readonly soonest: number
  /** True if more could be handed over than one step may. */
  readonly more: boolean
}

export const lookAtPermits: Operation<PermitLook, Looked> = {
  method: 'reserve',
  code: 13,
  inOrder: false,
  together: false,
  tickets: true,

  numbers: (asked) => [
    ...speakerNumbers(asked),
    ...asked.tickets.flatMap(({ serial, quantity, waits }) => [serial, quantity, waits ? 1 : 0]),
  ],

  replies: (layers, { tickets }) => 1 + 2 * tickets.length + headerNumbers(layers),

  answered: (result) => ({ result, answers: [], now: 0, soonest: 0, more: false }),

  apply(found, asked, now) {
    const { layers, states, said } = found
    if (said === undefined) {
      const { answers, more } = look(found, asked, now)
      const soonest = soonestIn(found)
      const changes = closeRooms(found, now)
      return { changes, answer: { result: peek(layers, states, now), answers, now, soonest, more } }
    }
    const [more = 0, ...others] = said
    takeHeaders(found, others, 2 * asked.tickets.length)
    const answers = asked.tickets.map((_, index): [number, number] => [
      others[2 * index] ?? 0,
      others[2 * index + 1] ?? 0,
    ])
    const result = peek(layers, states, now)
    return { changes: [], answer: { result, answers, now, soonest: soonestIn(found), more: more === 1 } }
  },
}

function soonestIn({ states: [state] }: Found): number {
  return isHeader(state) ? state[SOONEST] : 0
}

function look(found: Found, asked: PermitLook, now: number): Pick<Looked, 'answers' | 'more'> {
  const [room] = roomsIn(found, asked, now)
  if (room === undefined) return { answers: [], more: false }
  const { holder } = asked
  for (const ticket of asked.tickets) room.keep({ holder, ...ticket })
  room.hear(asked)
  const more = room.handOver()
  const answers = asked.tickets.map(({ waits, ...ticket }) => room.answer({ holder, ...ticket }, waits))
  room.refreshSoonest()
  return { answers, more }
}
