/** The contestants of a question, set up and closed together. */
import { CONTESTANTS, type ContestantName } from '../contestants.ts'
import type { Entrant } from './compare.ts'
import type { Setting } from './contestant.ts'
import type { Keys } from './keys.ts'

/** Refuses nobody here, and a key that was asked for once lives on for four seconds, through the turns of the others. */
export const ROOMY = { limit: 20_000, period: 86_400_000 } as const

export interface Field extends AsyncDisposable {
  readonly entrants: readonly Entrant[]
}

/** Each has a database of its own, since some write the user's key as it is; a cluster has but one. */
export async function openField(names: readonly ContestantName[], setting: Setting, keys: Keys): Promise<Field> {
  const single = setting.ports.length <= 1
  const opening = names.map(async (name, index) => {
    return { name, contestant: await CONTESTANTS[name](single ? { ...setting, database: index } : setting), keys }
  })
  return closing(await Promise.all(opening))
}

export function closing(entrants: readonly Entrant[]): Field {
  return {
    entrants,
    async [Symbol.asyncDispose]() {
      await Promise.all(entrants.map(({ contestant }) => contestant[Symbol.asyncDispose]()))
    },
  }
}
