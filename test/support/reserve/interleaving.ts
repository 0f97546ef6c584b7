/** Everything that can be asked about a key, in random order, put to several stores alike. */
import fc from 'fast-check'
import { Quota, type Reservation, type Throttle } from 'onrush'
import { strikeIfShort } from '../../../src/operations/block.ts'
import { giveUpTurn } from '../../../src/operations/give-up-turn.ts'
import { type Promised, takeTurn } from '../../../src/operations/take-turn.ts'
import type { Decider } from '../../../src/stores/decider.ts'
import { calendarQuotas, lengthOf } from '../calendar/arbitraries.ts'
import { quotas } from '../exact/arbitraries.ts'
import { CALENDAR_LIMITERS, type Counting, GCRA_START_EMPTY, LIMITERS } from '../limiters.ts'
import type { LimiterLayer } from '../redis/implementations.ts'

export const KEYS = ['one', 'two']

interface Ask {
  readonly do:
    | 'block'
    | 'unblock'
    | 'attempt'
    | 'failure'
    | 'check'
    | 'refund'
    | 'reserve'
    | 'settle'
    | 'cancel'
    | 'clear'
    | 'acquire'
    | 'give up'
  readonly key: string
  /** Units up to 3, or parts in a thousand of the first layer's limit. */
  readonly quantity: number
  /** Which of the reservations or turns that are still held. */
  readonly which: number
  /** The longest wait, in parts in a thousand of the first layer's period. */
  readonly longest: number
}

/** The requests of one instant. */
export interface Round {
  /** Since the round before, in parts in a thousand of the first layer's period. */
  readonly elapsed: number
  readonly asks: readonly Ask[]
}

/** What only throttles with blocks can be asked. */
const OF_BLOCKS = ['block', 'unblock', 'attempt', 'attempt', 'failure', 'failure', 'check', 'check', 'check'] as const

const ask = (blocks: boolean): fc.Arbitrary<Ask> =>
  fc.record({
    do: fc.constantFrom(
      ...(blocks ? OF_BLOCKS : []),
      ...([
        'check',
        'check',
        'check',
        'check',
        'acquire',
        'acquire',
        'acquire',
        'acquire',
        'reserve',
        'reserve',
      ] as const),
      ...([
        'reserve',
        'settle',
        'settle',
        'settle',
        'cancel',
        'refund',
        'refund',
        'give up',
        'give up',
        'clear',
      ] as const),
    ),
    key: fc.constantFrom(...KEYS),
    quantity: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 1200 })),
    which: fc.nat({ max: 20 }),
    longest: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.nat({ max: 3000 })),
  })

export interface Choice {
  /** Asks of one round. */
  readonly most: number
  /** Whether time may go back. Default true. */
  readonly back?: boolean
  /** Whether keys may be blocked. Default false. */
  readonly blocks?: boolean
}

export function rounds({ most, back = true, blocks = false }: Choice): fc.Arbitrary<Round[]> {
  const elapsed = fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 6, arbitrary: fc.nat({ max: 1500 }) },
    ...(back ? [{ weight: 1, arbitrary: fc.integer({ min: -100, max: -1 }) }] : []),
  )
  const asks = fc.array(ask(blocks), { minLength: 1, maxLength: most, size: 'max' })
  return fc.array(fc.record({ elapsed, asks }), { minLength: 1, maxLength: Math.ceil(40 / most), size: 'max' })
}

function several(countings: readonly Counting[]): fc.Arbitrary<LimiterLayer[]> {
  const layer = fc
    .record({ counting: fc.constantFrom(...countings), rate: quotas(), cost: fc.option(fc.nat({ max: 1000 })) })
    .map(({ counting, rate, cost }) => ({
      counting,
      rate,
      quantity: cost === null ? undefined : Math.max(Math.floor((rate.limit * cost) / 1000), 1),
    }))
  const selector = ({ counting, rate }: LimiterLayer) => `${counting.name} ${rate}`
  return fc.uniqueArray(layer, { minLength: 1, maxLength: 3, selector })
}

/** Quotas of the calendar, alone and beside others. */
const layersOfCalendar: fc.Arbitrary<LimiterLayer[]> = fc
  .tuple(
    fc.record({ counting: fc.constantFrom(...CALENDAR_LIMITERS), rate: calendarQuotas }),
    fc.array(fc.record({ counting: fc.constantFrom(...LIMITERS), rate: quotas() }), { maxLength: 1 }),
    fc.boolean(),
  )
  .map(([first, others, isFirst]) => (isFirst ? [first, ...others] : [...others, first]))

/** One to three layers: often of GCRA alone, where turns are promised. */
export const layers: fc.Arbitrary<LimiterLayer[]> = fc.oneof(
  several(LIMITERS),
  several(LIMITERS.filter(({ name }) => name === 'GcraLimiter')),
  layersOfCalendar,
)

/** With startEmpty, where stores that forget states at different times answer differently. */
export const layersThatNeverExpire: fc.Arbitrary<LimiterLayer[]> = fc.oneof(
  layers,
  several([...LIMITERS.filter(({ name }) => name === 'GcraLimiter'), GCRA_START_EMPTY]),
)

/** An ask in units and µs, and by number what it makes or takes. */
interface Planned extends Ask {
  readonly id: number
  readonly held: number
}

/** A throttle on one of the stores, and what has been given away there. */
export class Side {
  readonly #throttle: Throttle
  readonly #decider: Decider | undefined
  readonly #waits: boolean
  readonly #reservations = new Map<number, Reservation>()
  readonly #turns = new Map<number, Promised>()

  /** @param decider what the store makes of the throttle; without it nobody waits for a turn */
  constructor(throttle: Throttle, decider?: Decider) {
    this.#throttle = throttle
    this.#decider = decider
    this.#waits = decider?.supports(takeTurn) === true
  }

  async answer({ do: what, key, quantity, longest, id, held }: Planned): Promise<unknown> {
    switch (what) {
      case 'check':
        return this.#throttle.check(key, quantity)
      case 'block':
        return this.#throttle.block(key, Math.min(Math.max(longest, 1), 86_400_000_000) / 1000)
      case 'unblock':
        return this.#throttle.unblock(key)
      case 'attempt': {
        const { reservation } = await this.#throttle.reserveAttempt(key, quantity)
        if (!reservation.result.limited) this.#reservations.set(id, reservation)
        return reservation.result
      }
      case 'failure':
        return this.#decider?.operate(key, strikeIfShort, 1)
      case 'refund':
        return this.#throttle.refund(key, quantity)
      case 'clear':
        return this.#throttle.clear(key)
      case 'reserve': {
        const reservation = await this.#throttle.reserve(key, quantity)
        if (!reservation.result.limited) this.#reservations.set(id, reservation)
        return reservation.result
      }
      case 'settle':
        return this.#reservations.get(held)?.settle(quantity)
      case 'cancel':
        return this.#reservations.get(held)?.cancel()
      case 'acquire': {
        if (!this.#waits) return undefined
        const turn = await this.#decider?.operate(key, takeTurn, { quantity, longest, mayTakeVacancy: true })
        if (turn === undefined) return undefined
        this.#turns.set(id, turn)
        return { result: turn.result, wait: turn.wait }
      }
      case 'give up': {
        const promised = this.#turns.get(held)
        return promised && this.#decider?.operate(key, giveUpTurn, promised)
      }
    }
  }

  hasReserved(id: number): boolean {
    return this.#reservations.has(id)
  }
}

/** Makes the asks of a round concrete; each reservation and each turn is put right at most once. */
export class Plan {
  readonly #quota: Quota
  #next = 0
  #reserved: number[] = []
  #promised: number[] = []

  constructor(layers: readonly LimiterLayer[]) {
    const [first] = layers.map(({ rate }) => rate)
    this.#quota = first instanceof Quota ? first : Quota.perSecond(1)
  }

  /** µs. */
  elapsed({ elapsed }: Round): number {
    return Math.round((elapsed * this.#period) / 1000)
  }

  get #period(): number {
    const { calendar, periodMicroseconds } = this.#quota
    return calendar === undefined ? periodMicroseconds : lengthOf(calendar)
  }

  of({ asks }: Round): Planned[] {
    const { limit } = this.#quota
    return asks.map((one) => ({
      ...one,
      quantity: one.quantity <= 3 ? one.quantity : Math.floor((limit * one.quantity) / 1000),
      longest: Math.floor((this.#period * one.longest) / 1000),
      id: this.#next++,
      held: this.#take(one),
    }))
  }

  /** Remembers what may be put right in a later round. */
  note(planned: readonly Planned[], side: Side): void {
    for (const { do: what, id } of planned) {
      if ((what === 'reserve' || what === 'attempt') && side.hasReserved(id)) this.#reserved.push(id)
      if (what === 'acquire') this.#promised.push(id)
    }
  }

  #take({ do: what, which }: Ask): number {
    const held = what === 'give up' ? this.#promised : what === 'settle' || what === 'cancel' ? this.#reserved : []
    const [taken = -1] = held.splice(which % Math.max(held.length, 1), 1)
    return taken
  }
}
