/** TypeScript and Lua do the same with several subjects that are asked for together: every answer and every bit of every state are equal. */
import fc from 'fast-check'
import { Redis } from 'ioredis'
import {
  type BlocksOptions,
  ConcurrencyLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  Quota,
} from 'onrush'
import { afterAll, expect, test } from 'vitest'
import { holdingTerms } from '../../src/algorithms/terms.ts'
import { askPermits } from '../../src/operations/ask-permits.ts'
import type { AskedTogether } from '../../src/operations/ask-together.ts'
import { block, unblock } from '../../src/operations/block.ts'
import { clear } from '../../src/operations/clear.ts'
import { endPermits, type OwnTicket } from '../../src/operations/end-permits.ts'
import { lookAtPermits } from '../../src/operations/look-at-permits.ts'
import { peekAtPermits } from '../../src/operations/peek-at-permits.ts'
import { holdsPermits } from '../../src/operations/permits.ts'
import { HELD } from '../../src/operations/ticket-status.ts'
import { InProcessDecider } from '../../src/stores/in-process/decider.ts'
import { runs } from '../support/exact/pair.ts'
import type { BothImplementations, DeciderPair, LimiterLayer } from '../support/redis/implementations.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()
const ears = new Redis(suite.url)
afterAll(() => ears.disconnect())

const START = 1_700_000_000_000_000
const LEASE = 1_000_000
const KEYS = ['one', 'two']

/** Holders; messages reach the first alone. */
const HOLDERS = [0x1f_ffff_ffff_ffff, 1, 4_503_599_627_370_497]
const [REACHED = 0] = HOLDERS

function permits(count: number, name: string, quantity?: number): LimiterLayer {
  return {
    counting: { name: 'ConcurrencyLimiter', Limiter: ConcurrencyLimiter },
    rate: Quota.concurrent(count, { lease: LEASE / 1000, name }),
    quantity,
  }
}

const gcra = { name: 'GcraLimiter', Limiter: GcraLimiter }
const moving = { name: 'MovingWindowLimiter', Limiter: MovingWindowLimiter }
const periodic = { name: 'PeriodicLimiter', Limiter: PeriodicLimiter }

const LOCKOUT: BlocksOptions = { lockout: ['200ms', '2s'], forget: '1s' }

interface World {
  readonly key: string
  readonly layers: readonly LimiterLayer[]
  readonly blocks?: BlocksOptions
}

/** The throttles of which a call takes some. Two share a key, and no two a state. */
const THROTTLES: readonly World[] = [
  { key: 'one', layers: [permits(2, 'first')] },
  {
    key: 'two',
    layers: [{ counting: gcra, rate: Quota.perSecond(6, { name: 'second' }) }, permits(3, 'second', 1)],
    blocks: { ...LOCKOUT, name: 'second' },
  },
  {
    key: 'one',
    layers: [
      { counting: moving, rate: Quota.perSecond(8, { name: 'third' }) },
      permits(3, 'third'),
      { counting: periodic, rate: Quota.perSecond(5, { name: 'third' }), quantity: 2 },
      permits(2, 'third-too'),
    ],
    blocks: { name: 'third' },
  },
  {
    key: 'two',
    layers: [
      { counting: periodic, rate: Quota.perSecond(7, { name: 'fourth' }), quantity: 3 },
      { counting: moving, rate: Quota.perSecond(9, { name: 'fourth' }) },
    ],
    blocks: { ...LOCKOUT, name: 'fourth' },
  },
]

const throttle = fc.nat({ max: THROTTLES.length - 1 })
const ticket = fc.record({ serial: fc.integer({ min: 1, max: 5 }), quantity: fc.integer({ min: 1, max: 2 }) })

const elapsed = fc.oneof(
  { weight: 12, arbitrary: fc.nat({ max: 60_000 }) },
  fc.nat({ max: 3 * LEASE }),
  fc.constant(-200_000),
)

const step = fc.record({
  holder: fc.constantFrom(...HOLDERS, REACHED),
  listens: fc.constantFrom(0 as const, 1 as const),
  serial: fc.integer({ min: 1, max: 5 }),
  what: fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({
        kind: fc.constant('together' as const),
        chosen: fc.uniqueArray(throttle, { minLength: 1, maxLength: 4 }),
        // The same mostly, so that a ticket is asked for again.
        quantities: fc.array(fc.constantFrom(1, 1, 1, 0, 2, 3, 9), { minLength: 4, maxLength: 4 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('ask' as const),
        throttle,
        quantity: fc.integer({ min: 1, max: 2 }),
        queue: fc.constantFrom(-1, 10),
        priority: fc.constantFrom(0, -1, 1),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('end' as const),
        throttle,
        tickets: fc.array(ticket, { maxLength: 4 }),
      }),
    },
    fc.record({ kind: fc.constant('look' as const), throttle, tickets: fc.array(ticket, { maxLength: 4 }) }),
    fc.record({ kind: fc.constant('block' as const), throttle, length: fc.integer({ min: 1, max: LEASE }) }),
    fc.record({ kind: fc.constant('unblock' as const), throttle }),
    fc.record({ kind: fc.constant('clear' as const), throttle }),
  ),
  /** Whether somebody peeks just before, in the same turn. */
  peeked: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
})

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

/** A throttle, and its permits apart. */
interface Side {
  readonly key: string
  readonly whole: DeciderPair
  readonly permits: DeciderPair | undefined
}

function sidesOf(both: BothImplementations): Side[] {
  return THROTTLES.map(({ key, layers, blocks }) => {
    const whole = both.deciders(layers, blocks)
    const own = layers.find(({ counting }) => counting.Limiter === ConcurrencyLimiter)
    const made = [whole, ...(own === undefined ? [] : [both.deciders([own])])]
    for (const { local } of made)
      if (local instanceof InProcessDecider) local.tell = (holder) => (holder === REACHED ? 1 : 0)
    return { key, whole, permits: made[1] }
  })
}

type Single = Exclude<Step['what'], { kind: 'together' }>

/** Asks one throttle, or its permits alone. */
async function run(side: Side, name: keyof DeciderPair, one: Step, what: Single): Promise<unknown> {
  const { key } = side
  const whole = side.whole[name]
  const own = side.permits?.[name]
  const speaker = { holder: one.holder, listens: one.listens, sharded: 0 as const, lapses: true }
  switch (what.kind) {
    case 'clear':
      return whole.operate(key, clear, undefined)
    case 'block':
      return whole.block && whole.operate(key, block, { length: what.length })
    case 'unblock':
      return whole.block && whole.operate(key, unblock, undefined)
    case 'ask':
      return own?.operate(key, askPermits, { ...speaker, ...what, serial: one.serial + APART, turn: -1 })
    case 'end':
      // On Redis, ends of one turn may be one request, and then all of them get the answer of the last.
      await own?.operate(key, endPermits, { ...speaker, tickets: both(what.tickets) })
      return undefined
    default: {
      const tickets = both(what.tickets).map((each) => ({ ...each, waits: each.serial > APART }))
      return own?.operate(key, lookAtPermits, { ...speaker, tickets })
    }
  }
}

/** Added to the serial of a ticket that is asked for alone. */
const APART = 10

function both(tickets: readonly OwnTicket[]): OwnTicket[] {
  return tickets.flatMap((each) => [each, { ...each, serial: each.serial + APART }])
}

async function ask(both: BothImplementations, sides: readonly Side[], one: Step): Promise<AskedTogether | undefined> {
  const { holder, listens, serial, what } = one
  const speaker = { holder, listens, sharded: 0 as const, lapses: true }
  if (what.kind === 'together') {
    const subjects = what.chosen.flatMap((index, nth) => {
      const side = sides[index]
      const quantity = what.quantities[nth] ?? 1
      if (side === undefined) return []
      return [{ ...side.whole, key: side.key, quantity, terms: holdingTerms(quantity, side.whole.local.layers) }]
    })
    const each = subjects.map(({ quantity, terms }) => ({ quantity, terms, listens }))
    return both.askTogether(subjects, { ...speaker, serial, subjects: each })
  }
  const side = sides[what.throttle]
  if (side === undefined) return undefined
  const answers = (['local', 'remote'] as const).map((name) => run(side, name, one, what))
  const [expected, actual] = await Promise.all(answers)
  expect(actual).toStrictEqual(expected)
  return undefined
}

function peek({ key, whole }: Side, name: keyof DeciderPair): Promise<unknown> {
  const decider = whole[name]
  return decider.layers.some(holdsPermits)
    ? decider.operate(key, peekAtPermits, { quantity: 1 })
    : decider.check(key, 0)
}

/** Looks at all, and expects both sides to see the same. */
async function peekAll(sides: readonly Side[]): Promise<void> {
  const remote = sides.map((side) => peek(side, 'remote'))
  const local = sides.map((side) => peek(side, 'local'))
  expect(await Promise.all(remote)).toStrictEqual(await Promise.all(local))
}

test('whatever subjects are asked for together, also in one turn, is answered and kept alike', async () => {
  let listening: string | undefined
  const statuses = new Map<number, number>()
  const turn = fc.record({ elapsed, steps: fc.array(step, { minLength: 1, maxLength: 4 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 15, maxLength: 30, size: 'max' }), async (turns) => {
      const both = suite.both(START)
      if (listening !== undefined) await ears.unsubscribe(listening)
      listening = `${both.prefix}:wake:${REACHED}`
      await ears.subscribe(listening)
      const sides = sidesOf(both)
      for (const { elapsed, steps } of turns) {
        both.now += elapsed
        const asking = steps.flatMap((one) => [one.peeked ? peekAll(sides) : undefined, ask(both, sides, one)])
        for (const asked of await Promise.all([...asking, peekAll(sides)]))
          if (asked !== undefined) count(statuses, asked)
        await both.expectSameStates(KEYS)
      }
    }),
    runs(4),
  )
  // All kinds of answers were compared.
  expect([...statuses.keys()].sort()).toEqual([1, 3, 5])
})

function count(statuses: Map<number, number>, { status, subjects }: AskedTogether): void {
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
  // Whoever is refused spends nothing, and holds nothing.
  if (status !== HELD) expect(subjects.map(({ units, token }) => units + token)).toEqual(subjects.map(() => 0))
}
