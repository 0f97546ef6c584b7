/** Checks that leave units to others, take what there is, or cost something else in a layer, put to several stores alike. */
import fc from 'fast-check'
import { checkAll, type JointReservation, Quota, type Reservation, reserveAll, type Throttle } from 'onrush'
import { quotas } from '../exact/arbitraries.ts'
import { LIMITERS } from '../limiters.ts'
import type { LimiterLayer } from '../redis/implementations.ts'

export const KEYS = ['one', 'two']

/** Small ones, which run out; some of one name with other numbers. */
const SMALL = [
  Quota.perSecond(7, { maximumBurst: 3 }),
  Quota.perSecond(20),
  new Quota({ count: 11, period: 0.007 }),
  new Quota({ count: 9, period: 1000, name: 'policy' }),
  new Quota({ count: 4, period: 1000, maximumBurst: 9, name: 'policy' }),
]

interface Chosen extends LimiterLayer {
  readonly rate: Quota
}

const layer: fc.Arbitrary<Chosen> = fc
  .record({
    counting: fc.constantFrom(...LIMITERS),
    rate: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...SMALL) }, quotas()),
    cost: fc.oneof(fc.constant(undefined), fc.constantFrom(1, 2), fc.nat({ max: 1000 })),
  })
  .map(({ counting, rate, cost }) => ({
    counting,
    rate,
    quantity: cost === undefined ? undefined : unitsOf(rate, cost),
  }))

/** One to three layers. */
export const layers: fc.Arbitrary<Chosen[]> = fc.uniqueArray(layer, {
  minLength: 1,
  maxLength: 3,
  selector: ({ counting, rate }) => `${counting.name} ${rate.stateName}`,
})

/** Units up to 2, or parts in a thousand of the limit; at least 1. */
function unitsOf({ limit }: Quota, share: number): number {
  return Math.min(Math.max(share <= 2 ? share : Math.floor((limit * share) / 1000), 1), limit)
}

export interface Question {
  readonly do:
    | 'check'
    | 'checkUpTo'
    | 'peek'
    | 'reserve'
    | 'reserve up to'
    | 'settle'
    | 'cancel'
    | 'refund'
    | 'checkAll'
    | 'reserveAll'
    | 'end all'
  /** Which of the throttles. */
  readonly throttle: number
  readonly key: string
  /** Units up to 5, or parts in a thousand of the smallest limit. */
  readonly quantity: number
  /** Parts in a thousand of the smallest limit, or a percentage. `undefined`: nothing is left. */
  readonly leave: number | string | undefined
  /** How often this is asked, one after another. */
  readonly times: number
}

const question: fc.Arbitrary<Question> = fc.record({
  do: fc.constantFrom(
    ...(['check', 'check', 'check', 'checkUpTo', 'checkUpTo', 'checkUpTo', 'peek', 'reserve'] as const),
    ...(['reserve up to', 'settle', 'cancel', 'refund', 'checkAll', 'reserveAll', 'end all'] as const),
  ),
  throttle: fc.nat({ max: 1 }),
  key: fc.constantFrom(...KEYS),
  quantity: fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 5 }) }, fc.nat({ max: 1100 })),
  leave: fc.oneof(fc.constant(undefined), fc.nat({ max: 990 }), fc.constantFrom('20%', '2.5%', '99%')),
  times: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 15 })),
})

/** What is asked at one instant. */
export interface Round {
  /** Since the round before, in µs. */
  readonly elapsed: number
  readonly questions: readonly Question[]
}

export const rounds: fc.Arbitrary<Round[]> = fc.array(
  fc.record({
    elapsed: fc.oneof(fc.nat({ max: 600_000 }), fc.nat({ max: 3_000_000 }), fc.integer({ min: -50_000, max: 0 })),
    questions: fc.array(question, { minLength: 1, maxLength: 8, size: 'max' }),
  }),
  { minLength: 1, maxLength: 6, size: 'max' },
)

/** Throttles on one store, and what they have reserved. */
export class Asker {
  readonly #throttles: readonly Throttle[]
  readonly #layers: readonly (readonly Chosen[])[]
  readonly #reservations: Reservation[] = []
  readonly #joint: JointReservation[] = []

  constructor(throttles: readonly Throttle[], layers: readonly (readonly Chosen[])[]) {
    this.#throttles = throttles
    this.#layers = layers
  }

  /** The answers, in the order of the questions: begun one after another, without waiting where `together`. */
  async answers(questions: readonly Question[], together: boolean): Promise<unknown[]> {
    const answers: Promise<unknown>[] = []
    const reserved: Promise<Reservation>[] = []
    const joint: Promise<JointReservation>[] = []
    for (const question of questions) {
      for (let time = 0; time < question.times; time++) {
        const answer = this.#answer(question, reserved, joint)
        answers.push(answer)
        if (!together) await answer
      }
    }
    const given = await Promise.all(answers)
    const held = await Promise.all(reserved)
    this.#reservations.push(...held.filter(({ result }) => !result.limited))
    this.#joint.push(...(await Promise.all(joint)).filter(({ result }) => !result.limited))
    return given
  }

  async #answer(
    question: Question,
    reserved: Promise<Reservation>[],
    joint: Promise<JointReservation>[],
  ): Promise<unknown> {
    const at = question.throttle % this.#throttles.length
    const throttle = this.#throttles[at]
    if (throttle === undefined) throw new RangeError('no throttle was made')
    const { key } = question
    const { quantity, leave } = this.#unitsOf(question, this.#layers[at] ?? [])
    switch (question.do) {
      case 'check':
        return throttle.check(key, quantity, { leave })
      case 'checkUpTo':
        return throttle.checkUpTo(key, quantity)
      case 'peek':
        return throttle.peek(key, quantity, { leave })
      case 'refund':
        return throttle.refund(key, quantity)
      case 'settle':
        return this.#reservations.shift()?.settle(quantity % 2 === 0 ? undefined : quantity)
      case 'cancel':
        return this.#reservations.shift()?.cancel()
      case 'checkAll':
        return checkAll(this.#subjects(question, quantity))
      case 'reserveAll': {
        const reservation = reserveAll(this.#subjects(question, quantity))
        joint.push(reservation)
        return (await reservation).result
      }
      case 'end all': {
        const reservation = this.#joint.shift()
        return quantity % 2 === 0 ? reservation?.cancel() : reservation?.settle([quantity])
      }
      default: {
        const reservation = throttle.reserve(key, quantity, { leave, upTo: question.do === 'reserve up to' })
        reserved.push(reservation)
        return (await reservation).result
      }
    }
  }

  /** Of one throttle or two, on different keys. The second asks for something else, or only looks. */
  #subjects({ throttle, key, quantity: share }: Question, quantity: number) {
    const [one, other] = [throttle, throttle + 1].map((at) => this.#throttles[at % this.#throttles.length])
    if (one === undefined || other === undefined) throw new RangeError('no throttle was made')
    const second = KEYS.find((name) => name !== key) ?? key
    return [
      { throttle: one, key, quantity },
      { throttle: other, key: second, quantity: share % 3 },
    ]
  }

  #unitsOf(
    { quantity, leave }: Question,
    layers: readonly Chosen[],
  ): { quantity: number; leave: number | string | undefined } {
    const limits = layers.map(({ rate }) => rate.limit)
    const counted = layers.filter((one) => one.quantity === undefined).map(({ rate }) => rate.limit)
    const smallest = Math.min(...counted)
    const asked = quantity <= 5 ? quantity : Math.floor((Math.min(...limits) * quantity) / 1000)
    if (counted.length === 0 || leave === undefined) return { quantity: asked, leave: undefined }
    return {
      quantity: asked,
      leave: typeof leave === 'string' ? leave : Math.floor(((smallest - 1) * leave) / 1000),
    }
  }
}
