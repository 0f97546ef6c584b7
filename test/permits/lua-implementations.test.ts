/** TypeScript and Lua do the same with permits: every answer and every bit of every state are equal. */
import fc from 'fast-check'
import { Redis } from 'ioredis'
import {
  type BlocksOptions,
  ConcurrencyLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  Quota,
  RateLimitResult,
} from 'onrush'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { askPermits } from '../../src/operations/ask-permits.ts'
import { block, unblock } from '../../src/operations/block.ts'
import { clear } from '../../src/operations/clear.ts'
import { endPermits } from '../../src/operations/end-permits.ts'
import { lookAtPermits } from '../../src/operations/look-at-permits.ts'
import type { AnyOperation } from '../../src/operations/operation.ts'
import { peekAtPermits } from '../../src/operations/peek-at-permits.ts'
import { HELD, WAITS } from '../../src/operations/ticket-status.ts'
import type { Decider } from '../../src/stores/decider.ts'
import { InProcessDecider } from '../../src/stores/in-process/decider.ts'
import { runs } from '../support/exact/pair.ts'
import type { BothImplementations, LimiterLayer } from '../support/redis/implementations.ts'
import { redisSuite } from '../support/redis/suite.ts'

const suite = await redisSuite()
const ears = new Redis(suite.url)
afterAll(() => ears.disconnect())

const PERMITS = { name: 'ConcurrencyLimiter', Limiter: ConcurrencyLimiter }
const LEASE = 1_000_000

/** Holders; messages reach the first alone. */
const HOLDERS = [0x1f_ffff_ffff_ffff, 1, 4_503_599_627_370_497]
const [REACHED = 0] = HOLDERS

const RATES: readonly (readonly LimiterLayer[])[] = [
  [],
  [{ counting: { name: 'GcraLimiter', Limiter: GcraLimiter }, rate: Quota.perSecond(5) }],
  [{ counting: { name: 'MovingWindowLimiter', Limiter: MovingWindowLimiter }, rate: Quota.perSecond(6) }],
  [
    { counting: { name: 'GcraLimiter', Limiter: GcraLimiter }, rate: Quota.perSecond(5) },
    { counting: { name: 'MovingWindowLimiter', Limiter: MovingWindowLimiter }, rate: Quota.perSecond(9), quantity: 2 },
  ],
]

/** Mostly of the same quantity whenever it is named, so that what was asked for is ended and looked at. */
const ticket = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.nat({ max: 5 })),
  )
  .map(([serial, quantity = serial < 3 ? 1 : 2]) => ({ serial, quantity }))

const step = fc.record({
  elapsed: fc.oneof(
    { weight: 12, arbitrary: fc.nat({ max: 50_000 }) },
    fc.nat({ max: 3 * LEASE }),
    fc.constant(-200_000),
  ),
  // Serials are few, so that tickets meet.
  holder: fc.constantFrom(...HOLDERS, REACHED, REACHED),
  listens: fc.constantFrom(0 as const, 1 as const, 1 as const),
  what: fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .tuple(
          ticket,
          fc.record({
            kind: fc.constant('ask' as const),
            queue: fc.constantFrom(-1, 0, 2, 10, 10, 10),
            priority: fc.constantFrom(0, 0, 0, -5, 5, 1),
            turn: fc.constantFrom(-1, -1, -1, 12_345),
          }),
        )
        .map(([one, how]) => ({ ...how, ...one })),
    },
    {
      weight: 12,
      arbitrary: fc.record({ kind: fc.constant('end' as const), tickets: fc.array(ticket, { maxLength: 3 }) }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('look' as const),
        tickets: fc.array(
          fc.tuple(ticket, fc.boolean()).map(([one, waits]) => ({ ...one, waits })),
          { maxLength: 4 },
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('peek' as const), quantity: fc.nat({ max: 6 }) }) },
    fc.record({ kind: fc.constant('block' as const), length: fc.integer({ min: 1, max: LEASE }) }),
    fc.record({ kind: fc.constant('unblock' as const) }),
    fc.record({ kind: fc.constant('clear' as const) }),
  ),
  /** Whether the step shares a call with the one before, at the same moment. */
  together: fc.boolean(),
  /** Whether somebody peeks just before, in the same call. */
  peeked: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
})

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

type Group = [[version: number, one: Step], ...[number, Step][]]

/** Steps that share a call. Ends that follow one another would be one request, so none follows another. */
function groupsOf(steps: readonly (readonly [number, Step])[]): Group[] {
  const groups: Group[] = []
  let before: Step['what']['kind'] | undefined
  for (const [version, one] of steps) {
    const { kind } = one.what
    const group = one.together && kind !== 'clear' && !(kind === 'end' && before === 'end') ? groups.at(-1) : undefined
    if (group === undefined) groups.push([[version, one]])
    else group.push([version, one])
    before = kind
  }
  return groups
}

/** Asks of all layers, the rest of the layer with permits alone. */
function run(whole: Decider, permits: Decider, { holder, listens, what }: Step): Promise<unknown> {
  const speaker = { holder, listens, sharded: 0 as const, lapses: true }
  switch (what.kind) {
    case 'ask':
      // Where nothing was spent, a mark means nothing.
      return whole
        .operate('key', askPermits, { ...speaker, ...what })
        .then((asked) => (what.quantity === 0 ? { ...asked, marks: undefined } : asked))
    case 'end':
      return permits.operate('key', endPermits, { ...speaker, ...what })
    case 'look':
      return permits.operate('key', lookAtPermits, { ...speaker, ...what })
    case 'peek':
      return whole.operate('key', peekAtPermits, what)
    case 'block':
      return whole.block === undefined ? Promise.resolve() : whole.operate('key', block, { length: what.length })
    case 'unblock':
      return whole.block === undefined ? Promise.resolve() : whole.operate('key', unblock, undefined)
    default:
      return whole.operate('key', clear, undefined)
  }
}

/** As `run`, after a peek if there is one. */
function answers(whole: Decider, permits: Decider, one: Step): Promise<readonly unknown[]> {
  const peeked = one.peeked ? whole.operate('key', peekAtPermits, { quantity: 1 }) : undefined
  return Promise.all([peeked, run(whole, permits, one)])
}

/** Whoever holds nothing is told that it was limited. */
function isHonest(asked: unknown): boolean {
  if (typeof asked !== 'object' || asked === null || !('status' in asked) || !('result' in asked)) return false
  return asked.result instanceof RateLimitResult && asked.result.limited === (asked.status !== HELD)
}

const BLOCKS: readonly (BlocksOptions | undefined)[] = [undefined, {}, { lockout: ['200ms', '2s'], forget: '1s' }]

function deciders(both: BothImplementations, layers: readonly LimiterLayer[], blocks?: BlocksOptions) {
  const made = both.deciders(layers, blocks)
  if (made.local instanceof InProcessDecider) made.local.tell = (holder) => (holder === REACHED ? 1 : 0)
  return made
}

let listening: BothImplementations | undefined

beforeAll(() => {
  const known: AnyOperation[] = [askPermits, endPermits, lookAtPermits, peekAtPermits]
  expect(new Set(known.map(({ code }) => code)).size).toBe(4)
})

test('whatever is asked, ended and looked at is answered and kept alike', async () => {
  const start = 1_700_000_000_000_000
  const counts = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(1, 2) }, fc.integer({ min: 3, max: 5 })), {
    minLength: 1,
    maxLength: 2,
  })
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...RATES),
      fc.constantFrom(...BLOCKS),
      counts,
      fc.constantFrom(undefined, undefined, 1),
      fc.array(fc.tuple(fc.nat({ max: 1 }), step), { minLength: 30, maxLength: 60, size: 'max' }),
      async (rates, blocks, [first = 1, second = first], quantity, steps) => {
        const both = suite.both(start)
        if (listening !== undefined) await ears.unsubscribe(`${listening.prefix}:wake:${REACHED}`)
        listening = both
        await ears.subscribe(`${both.prefix}:wake:${REACHED}`)
        const versions = [first, second].map((count) => {
          const own = {
            counting: PERMITS,
            rate: Quota.concurrent(count, { lease: LEASE / 1000, name: 'own' }),
            quantity,
          }
          return { whole: deciders(both, [...rates, own], blocks), permits: deciders(both, [own]) }
        })
        for (const [[version, one], ...others] of groupsOf(steps)) {
          both.now += one.elapsed
          const chosen = versions[version] ?? versions[0]
          if (chosen === undefined) continue
          const group = [one, ...others.map(([, other]) => other)]
          const expected = await Promise.all(
            group.map((each) => answers(chosen.whole.local, chosen.permits.local, each)),
          )
          const actual = await Promise.all(
            group.map((each) => answers(chosen.whole.remote, chosen.permits.remote, each)),
          )
          expect(actual).toStrictEqual(expected)
          for (const [index, { what }] of group.entries())
            if (what.kind === 'ask') expect(isHonest(actual[index]?.[1])).toBe(true)
          await both.expectSameStates(['key'])
        }
      },
    ),
    runs(40),
  )
})

test('a caller is admitted where only processes that died wait before it', async () => {
  const both = suite.both(1_700_000_000_000_000)
  const { local, remote } = deciders(both, [{ counting: PERMITS, rate: Quota.concurrent(1, { lease: LEASE / 1000 }) }])
  const [, one = 0, other = 0] = HOLDERS
  const asks = [
    { holder: one, listens: 0 as const, serial: 1, queue: -1, elapsed: 0 },
    // It listens, and no message reaches it.
    { holder: other, listens: 1 as const, serial: 2, queue: 10, elapsed: 0.8 * LEASE },
    // The permit has lapsed, and the one who waits is still taken for alive.
    { holder: REACHED, listens: 0 as const, serial: 3, queue: -1, elapsed: 0.3 * LEASE },
  ]
  for (const { elapsed, ...ask } of asks) {
    both.now += elapsed
    const asked = { ...ask, quantity: 1, priority: 0, turn: -1, sharded: 0 as const, lapses: true }
    const expected = await local.operate('key', askPermits, asked)
    expect(expected).toMatchObject(ask.serial === 2 ? { status: WAITS } : { status: HELD, result: { limited: false } })
    expect(await remote.operate('key', askPermits, asked)).toStrictEqual(expected)
    await both.expectSameStates(['key'])
  }
})

test('operations that share a call find what those before them have left', async () => {
  const both = suite.both(1_700_000_000_000_000)
  const { local, remote } = deciders(both, [{ counting: PERMITS, rate: Quota.concurrent(1, { lease: LEASE / 1000 }) }])
  const speaker = { holder: REACHED, listens: 0 as const, sharded: 0 as const, lapses: true }
  const ask = (serial: number) => (decider: Decider) =>
    decider.operate('key', askPermits, { ...speaker, serial, quantity: 1, queue: 10, priority: 0, turn: -1 })
  const end =
    (...serials: number[]) =>
    (decider: Decider) =>
      decider.operate('key', endPermits, { ...speaker, tickets: serials.map((serial) => ({ serial, quantity: 1 })) })
  const look = (serial: number) => (decider: Decider) =>
    decider.operate('key', lookAtPermits, { ...speaker, tickets: [{ serial, quantity: 1, waits: true }] })
  const calls = [
    [ask(1)],
    // Between two operations nothing is left of the key.
    [end(1), ask(2), end(2)],
    [ask(3)],
    // As before, though a process has waited.
    [ask(4), end(3, 4), ask(5), ask(6)],
    // A permit that was handed over by the operation before.
    [end(5), look(6)],
  ]
  for (const call of calls) {
    both.now += 1000
    const expected = await Promise.all(call.map((act) => act(local)))
    expect(await Promise.all(call.map((act) => act(remote)))).toStrictEqual(expected)
    await both.expectSameStates(['key'])
  }
})
