/** Keys of ours in Redis that somebody else overwrites while they are used: states, logs, and the records of calls. */
import fc from 'fast-check'
import {
  DictionaryStore,
  GcraLimiter,
  Quota,
  type RateLimitResult,
  type RedisStore,
  RedisStore as Store,
  StoreUnavailableError,
  Throttle,
} from 'onrush'
import { describe, expect, test } from 'vitest'
import { budget, FUZZ_TIMEOUT } from '../support/hostile/budget.ts'
import { LIMITERS } from '../support/limiters.ts'
import { redisSuite } from '../support/redis/suite.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

const suite = await redisSuite()
const NOW = 1_700_000_000_000_000
const quota = Quota.perMinute(10)

interface Place {
  readonly prefix: string
  readonly store: RedisStore
}

/** With records of its calls. */
function place(clock?: () => number): Place {
  const prefix = uniquePrefix()
  return { prefix, store: new Store({ client: suite.client, prefix, timeout: 20_000, resend: true, clock }) }
}

/** Writes something over a key, with a TTL, because the suite watches for keys without one. */
type Tampering = (name: string) => Promise<unknown>

function byCommand(command: string, ...args: readonly (string | Buffer)[]): Tampering {
  return async (name) => {
    await suite.client
      .multi()
      .del(name)
      .call(command, name, ...args)
      .pexpire(name, 60_000)
      .exec()
  }
}

function byBytes(change: (held: Buffer) => Buffer): Tampering {
  return async (name) => {
    if ((await suite.client.type(name)) !== 'string') return
    const held = await suite.client.getBuffer(name)
    if (held !== null) await suite.client.set(name, change(held), 'PX', 60_000)
  }
}

function doubles(...numbers: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(numbers).buffer)
}

const FOREIGN: readonly (readonly [what: string, tampering: Tampering])[] = [
  ['a hash', byCommand('hset', 'field', 'value')],
  ['a list', byCommand('rpush', 'element')],
  ['a sorted set', byCommand('zadd', '1', 'member')],
  ['a stream', byCommand('xadd', '*', 'field', 'value')],
  ['nothing', byCommand('set', '')],
  ['a short text', byCommand('set', 'x')],
  ['a text that is a great number', byCommand('set', 'zzzzzzzz')],
  ['a text that is a small number', byCommand('set', 'garbage!')],
  ['NaN', byCommand('set', doubles(Number.NaN))],
  ['infinity', byCommand('set', doubles(Number.POSITIVE_INFINITY))],
  ['a number that is too great', byCommand('set', doubles(2 ** 60))],
  ['a broken number', byCommand('set', doubles(1e6 + 0.5, 1, 2))],
]

async function records({ prefix }: Place): Promise<string[]> {
  return (await suite.keys(prefix)).filter((name) => name.includes(':call:'))
}

describe('the record of a call', () => {
  test.each(FOREIGN)('that became %s is replaced, and every check counts once', async (_what, tampering) => {
    const at = place()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: at.store }), rate: quota })
    for (let used = 1; used <= 10; used++) {
      expect(await throttle.check('key')).toMatchObject({ limited: false, remaining: 10 - used })
      const names = await records(at)
      expect(names).toHaveLength(1)
      for (const name of names) await tampering(name)
    }
    expect((await throttle.check('key')).limited).toBe(true)
  })

  test('that speaks of a later call fails one check, which counts nothing, and is left behind', async () => {
    const at = place()
    const throttle = new Throttle({ limiter: new GcraLimiter({ store: at.store }), rate: quota })
    await throttle.check('key')
    for (const name of await records(at)) await byCommand('set', doubles(1e15))(name)
    await expect(throttle.check('key')).rejects.toThrow(StoreUnavailableError)
    expect((await throttle.check('key')).remaining).toBe(8)
    expect((await throttle.check('key')).remaining).toBe(7)
  })
})

interface Question {
  readonly kind: 'check' | 'refund' | 'settle' | 'acquire'
  readonly quantity: number
  /** The units with which a reservation is settled. */
  readonly actual: number
}

/** A step of a test: a request about a key, or tampering with the key. */
type Step =
  | Question
  | { readonly kind: 'clear' | 'wait' }
  | { readonly kind: 'tamper'; readonly which: number; readonly tampering: Tampering }

const tampering = fc.oneof(
  fc.constantFrom(...FOREIGN.map(([, each]) => each)),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => byCommand('set', Buffer.from(bytes))),
  fc
    .array(fc.oneof(fc.double(), fc.maxSafeNat(), fc.constantFrom(NOW, 5, 0, -0, 2 ** 53)), { maxLength: 12 })
    .map((numbers) => byCommand('set', doubles(...numbers))),
  // Logs as ours are, but for the order of their entries.
  fc
    .tuple(
      fc.nat({ max: 2 }),
      fc.nat({ max: 5 }),
      fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.nat({ max: 12 }))),
    )
    .map(([head, base, entries]) =>
      byCommand('set', doubles(head, base, ...entries.flatMap(([tenths, sum]) => [NOW + tenths * 7_000_000, sum]))),
    ),
  fc.nat().map((bit) =>
    byBytes((held) => {
      const at = bit % Math.max(held.length * 8, 1)
      const byte = held[at >> 3]
      if (byte !== undefined) held[at >> 3] = byte ^ (1 << (at & 7))
      return held
    }),
  ),
  fc.nat().map((length) => byBytes((held) => held.subarray(0, length % (held.length + 1)))),
  fc.uint8Array({ minLength: 1, maxLength: 16 }).map((more) => byBytes((held) => Buffer.concat([held, more]))),
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('check', 'refund', 'settle', 'acquire'),
      quantity: fc.nat({ max: 12 }),
      actual: fc.nat({ max: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('clear', 'wait') }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tamper'), which: fc.nat(), tampering }) },
)

function expectSane({ limited, remaining, resetAfter, retryAfter }: RateLimitResult): void {
  expect(remaining).toSatisfy((units: number) => Number.isInteger(units) && units >= 0 && units <= quota.limit)
  expect(resetAfter).toSatisfy((wait: number) => Number.isFinite(wait) && wait >= 0)
  expect(retryAfter).toSatisfy((wait: number) => (limited ? wait > 0 : wait === 0))
}

async function ask(throttle: Throttle, { kind, quantity, actual }: Question): Promise<RateLimitResult> {
  if (kind === 'check') return throttle.check('key', quantity)
  if (kind === 'refund') return throttle.refund('key', quantity)
  if (kind === 'acquire') return throttle.acquire('key', quantity, { maxWait: 0 })
  const reservation = await throttle.reserve('key', quantity)
  return reservation.result.limited ? reservation.result : reservation.settle(actual)
}

describe.each(LIMITERS)('$name', ({ Limiter }) => {
  test('answers every question in its range and starts afresh when cleared, whatever is written over its keys', {
    timeout: FUZZ_TIMEOUT,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 15 }), async (steps) => {
        let now = NOW
        const at = place(() => now)
        const throttle = new Throttle({ limiter: new Limiter({ store: at.store }), rate: quota })
        // A record may be made that of a later call, once, and then fails one call.
        let mayFail = 0
        for (const each of steps) {
          if (each.kind === 'wait') now += 7_000_001
          else if (each.kind === 'tamper') {
            const names = await suite.keys(at.prefix)
            const name = names[each.which % names.length]
            if (name === undefined) continue
            await each.tampering(name)
            if (name.includes(':call:')) mayFail++
          } else {
            try {
              expectSane(await ('quantity' in each ? ask(throttle, each) : throttle.clear('key')))
            } catch (error) {
              expect(error).toBeInstanceOf(StoreUnavailableError)
              expect(mayFail--).toBeGreaterThan(0)
            }
          }
        }
        for (const name of await records(at)) await suite.client.del(name)
        const fresh = new Throttle({
          limiter: new Limiter({ store: new DictionaryStore({ clock: () => now }) }),
          rate: quota,
        })
        await throttle.clear('key')
        for (const quantity of [3, 8, 7, 1]) {
          expect(await throttle.check('key', quantity)).toStrictEqual(fresh.checkSync('key', quantity))
        }
      }),
      budget(40),
    )
  })
})
