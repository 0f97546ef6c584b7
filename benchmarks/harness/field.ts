/** The contestants of a question, each in its own process as in a service, so that no contestant pays for another's garbage. */
import type { ContestantName } from '../contestants.ts'
import type { Bench } from './bench.ts'
import type { Setting } from './contestant.ts'
import { Crew } from './crew.ts'
import type { KeyOrder } from './keys.ts'
import type { Summary } from './load.ts'
import type { Measurement } from './metrics.ts'
import type { DriveTask, OfferTask, Recruit } from './tasks.ts'

/** A quota that never refuses in these benchmarks. A key checked once lives for 43 seconds, so it survives the turns of the others. */
export const ROOMY = { limit: 20_000, period: 864_000_000 } as const

/** One row of a table. */
export interface Variant {
  readonly name: string
  /** The value of the varied setting. */
  readonly at?: number | undefined
  readonly recruit: Recruit
  readonly keys: KeyOrder
}

export class Entrant {
  readonly name: string
  readonly at: number | undefined
  readonly #crew: Crew
  readonly #variant: Variant

  constructor(variant: Variant, crew: Crew) {
    this.name = variant.name
    this.at = variant.at
    this.#variant = variant
    this.#crew = crew
  }

  /** The same contestant with another value of the varied setting. */
  varied(at: number): Entrant {
    return new Entrant({ ...this.#variant, at }, this.#crew)
  }

  /** @param keys keys to use instead of the contestant's own */
  drive({ keys, ...load }: Omit<DriveTask, 'name' | 'recruit' | 'keys'> & { keys?: KeyOrder }): Promise<Summary> {
    const { recruit } = this.#variant
    return this.#crew.ask<'drive'>({ name: 'drive', recruit, keys: keys ?? this.#variant.keys, ...load })
  }

  offer(rate: number, duration: number): Promise<Measurement> {
    const { recruit, keys } = this.#variant
    const task: OfferTask = { name: 'offer', recruit, keys, rate, duration }
    return this.#crew.ask<'offer'>(task)
  }
}

export class Field implements AsyncDisposable {
  readonly entrants: readonly Entrant[]
  readonly #crews: readonly Crew[]
  readonly #shared: Crew | undefined

  private constructor(entrants: readonly Entrant[], crews: readonly Crew[], shared: Crew | undefined) {
    this.entrants = entrants
    this.#crews = crews
    this.#shared = shared
  }

  /** Gives each contestant its own database, because some write the user's key unchanged. A cluster has only one. */
  static open(bench: Bench, names: readonly ContestantName[], setting: Setting, keys: KeyOrder): Promise<Field> {
    const single = setting.ports.length <= 1
    return Field.of(
      bench,
      names.map((name, database) => {
        const recruit = { contestant: name, setting: single ? { ...setting, database } : setting }
        return { name, recruit, keys }
      }),
    )
  }

  /** Variants of one contestant share a process. In a quick run all share one, because each takes a second to start. */
  static async of({ shared }: Bench, variants: readonly Variant[]): Promise<Field> {
    const processOf = ({ recruit }: Variant): string => (shared === undefined ? recruit.contestant : 'all')
    const names = [...new Set(variants.map(processOf))]
    const own = shared === undefined ? await Promise.all(names.map(() => Crew.start(1))) : []
    const crews = shared === undefined ? own : [shared]
    const entrants: Entrant[] = []
    for (const variant of variants) {
      const crew = crews[names.indexOf(processOf(variant))]
      if (crew === undefined) throw new Error(`${variant.name} has no process`)
      await crew.open(variant.recruit)
      entrants.push(new Entrant(variant, crew))
    }
    return new Field(entrants, own, shared)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#crews.map((crew) => crew[Symbol.asyncDispose]()))
    await this.#shared?.perform<'close'>(1, () => ({ name: 'close' }))
  }
}
