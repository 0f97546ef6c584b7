/** Gives a turn back where nobody has spent since; else it becomes a vacancy, for who asks next. Lua: `lua/includes/turns.lua`. */
import { peek } from '../algorithms/driver.ts'
import type { Answer, Operation } from './operation.ts'
import type { Promised } from './take-turn.ts'
import { numbersIn, vacanciesIn, vacancyKind } from './vacancies.ts'

export const giveUpTurn: Operation<Promised, Answer> = {
  method: 'acquire',
  code: 4,
  inOrder: true,
  together: true,
  beside: vacancyKind,

  looks: ({ turn }) => turn === undefined,

  follows: (promised) => promised,

  numbers: ({ turn }) => (turn === undefined ? [] : numbersIn(turn)),

  // The states after it, since the vacancies that were given back too are known to the script alone.
  replies: (layers) => layers.reduce((sum, { algorithm }) => sum + algorithm.size, 0),

  answered: (result) => ({ result }),

  apply(found, { turn }, now) {
    const { layers, states } = found
    const changes = turn === undefined ? layers.map(() => undefined) : vacanciesIn(found).add(found, turn, now)
    return { changes, answer: { result: peek(layers, states, now) } }
  },
}
