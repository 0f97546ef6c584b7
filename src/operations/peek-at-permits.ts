/** Looks at a key whose layers hold permits. Changes nothing, not even what has lapsed. Lua: `lua/operations/permits.lua`. */
import { withBlock } from '../algorithms/blockable.ts'
import { look } from '../algorithms/driver.ts'
import type { Answer, Found, Operation } from './operation.ts'
import { headerNumbers, roomsIn, takeHeaders } from './permits.ts'
import { Tickets } from './tickets.ts'

export interface PermitLook {
  /** Units that are asked for. */
  readonly quantity: number
}

export const peekAtPermits: Operation<PermitLook, Answer> = {
  method: 'peek',
  code: 14,
  inOrder: false,
  together: false,
  tickets: true,

  quantity: ({ quantity }) => quantity,

  numbers: () => [],

  replies: headerNumbers,

  answered: (result) => ({ result }),

  apply(found, { quantity }, now) {
    const { layers, states, said } = found
    if (said === undefined) roomsAsSeen(found, now)
    else takeHeaders(found, said, 0)
    const result = withBlock(look(layers, states, quantity, now), found.block, now)
    return { changes: layers.map(() => undefined), answer: { result } }
  },
}

/** Brings the headers up to now, and leaves the tickets as they are. */
export function roomsAsSeen(found: Found, now: number): void {
  const tickets = found.tickets?.map((set) => set && new Tickets(set.numbers))
  roomsIn({ ...found, tickets, tell: undefined }, { holder: 0, listens: 0, sharded: 0, lapses: true }, now)
}
