/** Looks at a key whose layers hold permits. Changes nothing, not even what has lapsed. Lua: `lua/operations/permits.lua`. */
import { withBlock } from '../algorithms/blockable.ts'
import { isHeader } from '../algorithms/concurrency.ts'
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
    const { layers } = found
    const { states } = asSeen(found, now, 0)
    const result = withBlock(look(layers, states, quantity, now), found.block, now)
    return { changes: layers.map(() => undefined), answer: { result } }
  },
}

/**
 * Copies of the states with headers as of now. The states themselves stay as they are, because later requests of the call find them so.
 * @param from where the headers begin in what the script has replied
 */
export function asSeen(found: Found, now: number, from: number): Found {
  const states = found.states.map((state) => (isHeader(state) ? [...state] : state))
  const tickets = found.tickets?.map((set) => set && new Tickets(set.numbers))
  const seen = { ...found, states, tickets, tell: undefined }
  if (found.said === undefined) roomsIn(seen, { holder: 0, listens: 0, sharded: 0, lapses: true }, now)
  else takeHeaders(seen, found.said, from)
  return seen
}
