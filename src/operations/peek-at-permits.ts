/** Looks at a key whose layers hold permits. Changes nothing, not even what has lapsed. Lua: `lua/operations/permits.lua`. */
import { peek } from '../algorithms/driver.ts'
import type { Answer, Operation } from './operation.ts'
import { headerNumbers, roomsIn, takeHeaders } from './permits.ts'
import { Tickets } from './tickets.ts'

export const peekAtPermits: Operation<undefined, Answer> = {
  method: 'peek',
  code: 14,
  inOrder: false,
  together: false,
  tickets: true,

  numbers: () => [],

  replies: headerNumbers,

  answered: (result) => ({ result }),

  apply(found, _args, now) {
    const { layers, states, said } = found
    if (said === undefined) {
      const tickets = found.tickets?.map((set) => set && new Tickets(set.numbers))
      roomsIn({ ...found, tickets, tell: undefined }, { holder: 0, listens: 0, sharded: 0, lapses: true }, now)
    } else takeHeaders(found, said, 0)
    return { changes: layers.map(() => undefined), answer: { result: peek(layers, states, now) } }
  },
}
