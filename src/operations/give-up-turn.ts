/**
 * Gives up a promised turn. If nothing was spent after the turn was charged, its units are given back; otherwise the turn becomes
 * a vacancy, which a later caller may take. Lua: `lua/operations/turns.lua`.
 */
import { type Answer, type Operation, peekFound } from './operation.ts'
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

  // The script replies with the final states, because only the script knows which vacancies it has also given back.
  replies: (layers) => layers.reduce((sum, { algorithm }) => sum + algorithm.size, 0),

  answered: (result) => ({ result }),

  apply(found, { turn }, now) {
    const { layers } = found
    const changes = turn === undefined ? layers.map(() => undefined) : vacanciesIn(found).add(found, turn, now)
    return { changes, answer: { result: peekFound(found, now) } }
  },
}
