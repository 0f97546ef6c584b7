/** Forgets a key in all layers. Lua: `lua/operations/clear.lua`. */
import { type Answer, type Operation, peekFound } from './operation.ts'

export const clear: Operation<undefined, Answer> = {
  method: 'clear',
  code: 2,
  inOrder: true,
  together: false,
  forgets: true,
  tickets: true,

  numbers: () => [],

  answered: (result) => ({ result }),

  apply(found, _args, now) {
    const { layers, states, present, tickets } = found
    for (const set of tickets ?? []) set?.clear()
    layers.forEach(({ algorithm, quota }, index) => {
      states[index] = algorithm.open(now, quota)
      present[index] = false
    })
    return { changes: layers.map(() => 'given back'), answer: { result: peekFound(found, now) } }
  },
}
