/** Quotas and sequences of commands for property tests: the ordinary, the extreme, and whatever lies on a boundary. */
import fc from 'fast-check'
import { Quota } from 'onrush'
import type { ExactLayers } from './layers.ts'
import { type ExactResult, smaller } from './model.ts'

const SECOND = 1_000_000
const DAY = 86_400 * SECOND
const DECADE = 3653 * DAY
const CENTURY = 36_525 * DAY
/** No clock is put beyond this, so that no instant of a result leaves the safe integers. */
const LATEST = 4_000_000_000_000_000n

type Numbers = readonly [count: number, microseconds: number, maximumBurst?: number]

/** Emission intervals that are no whole µs, the shortest and longest periods, and the largest counts that stay exact. */
const NOTABLE: readonly Numbers[] = [
  [1, SECOND],
  [5, SECOND, 4],
  [7000, SECOND],
  [3_000_000, SECOND],
  [3_000_000, SECOND, 1_000_000],
  [1, DECADE],
  [3, DECADE, 11],
  [1, 1],
  [7, 1, 2],
  [3, 7],
  [1_000_000, 3],
  [100, 60 * SECOND, 20],
  [52_000, DAY],
  [1_000_000, 3600 * SECOND],
  [4_000_000_000, SECOND],
  [1, 1, 4_000_000_000_000_000],
]

export interface QuotaChoice {
  /** `headroom * limit * period` stays below 2^53: at 2 a full quota is exact, debts need more; 0: any. Default 2. */
  readonly headroom?: number
  readonly name?: string | undefined
}

export function quotas({ headroom = 2, name }: QuotaChoice = {}): fc.Arbitrary<Quota> {
  const any = (longest: number, largest: number) =>
    magnitude(Math.min(longest, mostUnits(1, headroom))).chain((microseconds) =>
      numbers(microseconds, Math.min(largest, mostUnits(microseconds, headroom))),
    )
  return fc
    .oneof(fc.constantFrom(...NOTABLE), any(1000, 12), any(DECADE, Number.MAX_SAFE_INTEGER))
    .filter(([count, microseconds, burst = 0]) => count + burst <= mostUnits(microseconds, headroom))
    .filter(acceptable)
    .map((chosen) => quota(chosen, name))
}

/** Two or three quotas of one name and period: a policy whose numbers change, by however much. */
export function changingQuotas(choice: QuotaChoice & { name: string }): fc.Arbitrary<[Quota, ...Quota[]]> {
  return quotas(choice).chain((first) => {
    const microseconds = Math.round(first.period * 1000)
    const others = numbers(microseconds, mostUnits(microseconds, choice.headroom ?? 2)).filter(acceptable)
    const changed = fc.array(
      others.map((chosen) => quota(chosen, choice.name)),
      { minLength: 1, maxLength: 2 },
    )
    return changed.map((rest): [Quota, ...Quota[]] => [first, ...rest])
  })
}

/** The same policy, of which the last version refuses everything. */
export function withoutAccess([first]: readonly [Quota, ...Quota[]]): [Quota, ...Quota[]] {
  const { period, name } = first
  return [first, new Quota({ count: 0, period, name })]
}

function numbers(microseconds: number, limit: number): fc.Arbitrary<Numbers> {
  return fc
    .tuple(magnitude(limit), fc.oneof(fc.constant(0), magnitude(limit)))
    .map(([count, burst]): Numbers => [count, microseconds, Math.min(burst, limit - count)])
}

function mostUnits(microseconds: number, headroom: number): number {
  return Math.floor(Number.MAX_SAFE_INTEGER / Math.max(headroom * microseconds, 1))
}

/** GCRA counts no slower quota. */
function acceptable([count, microseconds, burst = 0]: Numbers): boolean {
  return ((count + burst) / count) * microseconds <= CENTURY
}

function quota([count, microseconds, maximumBurst = 0]: Numbers, name: string | undefined): Quota {
  return new Quota({ count, period: microseconds / 1000, maximumBurst, name })
}

/** From 1 to `most`, every order of magnitude as likely as any other. */
function magnitude(most: number): fc.Arbitrary<number> {
  return fc
    .nat({ max: Math.floor(Math.log2(most)) })
    .chain((bits) => fc.integer({ min: 1, max: Math.min(most, 2 ** (bits + 1) - 1) }))
}

/** Where the clock starts: the epoch itself, and about now. */
export const starts: fc.Arbitrary<bigint> = fc.oneof(
  fc.constantFrom(0n, 1n, 1_700_000_000_000_000n),
  fc.bigInt({ min: 0n, max: 2_000_000_000_000_000n }),
)

/** How the clock moves before a command, relative to the quota and to what was last answered. */
export interface Step {
  readonly to: 'same' | 'emission' | 'window' | 'period' | 'retry' | 'reset' | 'later' | 'back'
  /** Emission intervals or windows, or parts in a thousand of the period. */
  readonly by: number
  /** µs added in the end, to fall just before, on, or just after a boundary. */
  readonly off: number
}

const offs = fc.constantFrom(0, -1, 1)
const forward = fc.oneof(
  { weight: 3, arbitrary: step('same', fc.constant(0), fc.constantFrom(0, 1)) },
  { weight: 3, arbitrary: step('emission', fc.integer({ min: 1, max: 5 }), offs) },
  { weight: 2, arbitrary: step('window', fc.integer({ min: 1, max: 2 }), offs) },
  { weight: 1, arbitrary: step('period', fc.integer({ min: 1, max: 2 }), offs) },
  { weight: 4, arbitrary: step('retry', fc.constant(0), fc.constantFrom(0, -1)) },
  { weight: 1, arbitrary: step('reset', fc.constant(0), offs) },
  { weight: 2, arbitrary: step('later', fc.nat({ max: 2500 }), fc.constant(0)) },
)
const anywhere = fc.oneof(
  { weight: 6, arbitrary: forward },
  { weight: 1, arbitrary: step('back', fc.nat({ max: 2500 }), fc.constantFrom(0, -1)) },
)

function step(to: Step['to'], by: fc.Arbitrary<number>, off: fc.Arbitrary<number>): fc.Arbitrary<Step> {
  return fc.record({ to: fc.constant(to), by, off })
}

/** How much is asked for, relative to what is available then. */
export interface Amount {
  readonly of: 'units' | 'available' | 'limit'
  /** Units, or units more than is available, or more than a share of the limit in parts in a thousand. */
  readonly units: number
  readonly share: number
}

const amounts: fc.Arbitrary<Amount> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      of: fc.constant('units' as const),
      units: fc.constantFrom(1, 0, 2, 3),
      share: fc.constant(0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ of: fc.constant('available' as const), units: offs, share: fc.constant(0) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      of: fc.constant('limit' as const),
      units: fc.constantFrom(0, 1),
      share: fc.nat({ max: 1000 }),
    }),
  },
)

export interface Command {
  readonly step: Step
  readonly amount: Amount
}

/** Without `back`, time only goes forwards. */
export function command({ back = true } = {}): fc.Arbitrary<Command> {
  return fc.record({ step: back ? anywhere : forward, amount: amounts })
}

/** As many as the default sizes of fast-check would never try in one sequence. */
export function sequence<T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(of, { minLength: 1, maxLength: 40, size: 'max' })
}

/** The instant at which a command happens. */
export function instant(step: Step, now: bigint, layers: ExactLayers, last: ExactResult | undefined): bigint {
  const { period, count } = layers[0] ?? { period: 1n, count: 1n }
  const by = BigInt(step.by)
  const wait = last?.retryAfter === 'never' ? 0n : (last?.retryAfter ?? 0n)
  const moved = {
    same: 0n,
    emission: count > 0n ? (by * period) / count : 0n,
    window: by * period - (now % period),
    period: by * period,
    retry: wait,
    reset: last?.resetAfter ?? 0n,
    later: (by * period) / 1000n,
    back: (-by * period) / 1000n,
  }[step.to]
  // Forwards stays forwards: one µs before "at once" is at once.
  const at = now + moved + BigInt(step.off)
  const earliest = step.to === 'back' ? 0n : now
  return smaller(at < earliest ? earliest : at, LATEST)
}

/** The quantity that a command asks for at `now`. */
export function quantity(amount: Amount, now: bigint, layers: ExactLayers): bigint {
  const least = (of: (layer: ExactLayers[number]) => bigint) => layers.map(of).reduce(smaller)
  const asked = {
    units: 0n,
    available: least((layer) => layer.available(now)),
    limit: (least((layer) => layer.limit) * BigInt(amount.share)) / 1000n,
  }[amount.of]
  const units = asked + BigInt(amount.units)
  return units < 0n ? 0n : units
}
