/** The size and the end of leases, without a store. */
import { DictionaryStore, FixedWindowLimiter, Quota, RateLimitResult, subscribe } from 'onrush'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { LeaseCharge } from '../../src/algorithms/lease.ts'
import { type LeaseAsk, LeaseBook } from '../../src/leases/book.ts'
import { type Asked, Demand, leaseSize, pauseOf } from '../../src/leases/sizing.ts'
import { layersOf } from '../../src/limiters/limiters.ts'

/** In µs. */
const WITHIN = 20_000

const NOTHING: Asked = { units: 0, squares: 0 }

function checks(count: number, quantity = 1): Asked {
  return { units: count * quantity, squares: count * quantity ** 2 }
}

describe('the demand of a key', () => {
  test.each([0.05, 0.3, 1, 1.7])(
    'is what is asked in the time of a lease, if the call leaves every %s of it',
    (every) => {
      const demand = new Demand(0)
      const elapsed = every * WITHIN
      for (let call = 1; call <= 2000; call++) {
        demand.add(1000 * every)
        demand.update(call * elapsed, WITHIN, NOTHING)
      }
      expect(demand.units).toBeCloseTo(1000, 6)
      expect(demand.squares).toBeCloseTo(1e6 * every, 3)
    },
  )

  test('falls by a factor of e in the time of a lease', () => {
    const demand = new Demand(0)
    demand.add(100)
    demand.update(0, WITHIN, checks(1, 100))
    expect(demand).toMatchObject(checks(1, 100))
    demand.update(WITHIN, WITHIN, NOTHING)
    expect(demand.units).toBeCloseTo(100 / Math.E, 9)
    expect(demand.squares).toBeCloseTo(10_000 / Math.E, 9)
  })

  test('counts in full what was asked just now, however long nothing was asked before', () => {
    const demand = new Demand(0)
    demand.add(50)
    demand.update(1000 * WITHIN, WITHIN, checks(1, 50))
    expect(demand).toMatchObject(checks(1, 50))
  })

  test('stays as it is when the clock goes back', () => {
    const demand = new Demand(5000)
    demand.add(20)
    demand.add(10)
    demand.update(1000, WITHIN, checks(1, 10))
    expect(demand).toMatchObject({ units: 30, squares: 500 })
  })

  test('counts once what is sent in two parts', () => {
    const demand = new Demand(0)
    demand.add(50)
    demand.update(0, WITHIN, checks(1, 50))
    demand.update(0, WITHIN, checks(1, 50))
    expect(demand).toMatchObject(checks(1, 50))
  })
})

describe('the size of a lease', () => {
  test.each([
    [100, 0, 1, 79],
    [100, WITHIN / 4, 1, 56],
    [100, WITHIN / 2, 1, 34],
    [100, WITHIN / 2 + 1, 1, 0],
    [100, Number.POSITIVE_INFINITY, 1, 0],
    [200, 0, 100, 71],
    [9, 0, 1, 2],
    [8, 0, 1, 0],
    [0, 0, 0, 0],
  ])(
    'of a demand of %d, with a round trip of %d µs and %d units in the call, is %d',
    (demand, roundTrip, inCall, size) => {
      expect(leaseSize(checks(demand), WITHIN, roundTrip, inCall)).toBe(size)
    },
  )

  test.each([
    [100, 100, 7900],
    [9, 1000, 2000],
    [3, 1000, 0],
  ])('of %d checks for %d units each, with one of them in the call, is %d', (count, quantity, size) => {
    expect(leaseSize(checks(count, quantity), WITHIN, 0, quantity)).toBe(size)
  })

  test('does not count on a few large checks among many small ones', () => {
    const mixed = { units: 100 + 2 * 1000, squares: 100 + 2 * 1000 ** 2 }
    expect(leaseSize(mixed, WITHIN, 0, 1)).toBe(0)
    expect(leaseSize({ units: 100 + 10, squares: 100 + 100 }, WITHIN, 0, 1)).toBe(80)
  })

  test('a refusal is remembered for a quarter of it from a demand of eight', () => {
    expect([pauseOf(checks(7.9), WITHIN), pauseOf(checks(8), WITHIN)]).toEqual([0, WITHIN / 4])
  })
})

describe('a lease of a book', () => {
  const layers = layersOf(new FixedWindowLimiter({ store: new DictionaryStore() }), Quota.perDay(1000))

  function charge(units: number): LeaseCharge {
    const [layer] = layers
    if (layer === undefined) throw new Error('there is a layer')
    const fields = {
      limited: false,
      limit: 1000,
      remaining: 500,
      resetAfter: 60_000,
      retryAfter: 0,
      quota: layer.quota,
    }
    return { units, after: new RateLimitResult(fields), windowLeft: Number.POSITIVE_INFINITY }
  }

  class Machine {
    /** µs. */
    steady = 5_000_000
    /** ms. */
    wall = 1_700_000_000_000
    readonly book: LeaseBook

    constructor(maxKeys = 10) {
      this.book = new LeaseBook(layers, WITHIN, maxKeys, { steady: () => this.steady, wall: () => this.wall })
    }

    pass(milliseconds: number): void {
      this.steady += milliseconds * 1000
      this.wall += milliseconds
    }

    /** Leaves with so many checks of the key, for a unit each. */
    leave(count: number, key = 'key'): LeaseAsk {
      for (let check = 0; check < count; check++) this.book.count(key, 1)
      return this.ask(count, key)
    }

    ask(count: number, key: string): LeaseAsk {
      return this.book.ask(key, checks(count), { steady: this.steady, wall: this.wall }, true)
    }

    /** Asks for a lease, which is answered after so many ms. */
    lease(roundTrip: number): LeaseAsk {
      this.leave(100)
      this.book.answered(this.steady)
      const ask = this.leave(100)
      expect(ask.most).toBeGreaterThan(0)
      this.pass(roundTrip)
      ask.charge = charge(50)
      this.book.keep(ask)
      return ask
    }
  }

  test('ends by the steady clock, counted from when its call was sent', () => {
    const machine = new Machine()
    machine.lease(3)
    machine.pass(16)
    expect(machine.book.spend('key', 1)).toMatchObject({ source: 'lease', remaining: 549 })
    machine.steady += 979
    expect(machine.book.held('key')).toBe(49)
    machine.steady += 1
    expect(machine.book.held('key')).toBe(0)
    expect(machine.book.spend('key', 1)).toBeUndefined()
  })

  test('has ended on a machine that slept, whose steady clock has stood still', () => {
    const machine = new Machine()
    machine.lease(0)
    machine.wall += 3_600_000
    expect(machine.book.spend('key', 1)).toBeUndefined()
  })

  test('does not outlive its time where the wall clock is set back', () => {
    const machine = new Machine()
    machine.lease(0)
    machine.wall -= 3_600_000
    machine.steady += 0.999 * WITHIN - 1
    expect(machine.book.spend('key', 1)).toMatchObject({ source: 'lease' })
    machine.steady += 1
    expect(machine.book.spend('key', 1)).toBeUndefined()
  })

  test('whose reply comes too late lapses unused, and is told once', () => {
    const lapsed: number[] = []
    onTestFinished(subscribe('onrush:lease', (event) => lapsed.push(event.lapsed)))
    const machine = new Machine()
    machine.lease(20)
    expect(machine.book.spend('key', 1)).toBeUndefined()
    machine.book.answered(machine.steady)
    machine.book.forget()
    expect(lapsed).toEqual([50])
  })

  test('is asked for once while its call is on the way, and again when it must have been lost', () => {
    const machine = new Machine()
    machine.leave(100)
    machine.book.answered(machine.steady)
    expect(machine.leave(100).most).toBeGreaterThan(0)
    machine.pass(19.9)
    expect(machine.leave(100).most).toBe(0)
    machine.pass(0.1)
    expect(machine.leave(10).most).toBeGreaterThan(0)
  })

  test('whose ends nobody asks about is told nevertheless', async () => {
    const ended = new Promise((resolve) => {
      onTestFinished(subscribe('onrush:lease', resolve))
    })
    const book = new LeaseBook(layers, WITHIN, 10, { steady: () => performance.now() * 1000, wall: Date.now })
    const sent = { steady: performance.now() * 1000, wall: Date.now() }
    for (let check = 0; check < 100; check++) book.count('key', 1)
    book.answered(sent.steady)
    const ask = book.ask('key', checks(1), sent, true)
    ask.charge = charge(50)
    book.keep(ask)
    expect(await ended).toEqual({ policy: '1000-1d', charged: 50, used: 0, lapsed: 50 })
  })

  test('whose end a listener answers by asking other keys leaves no more keys watched than may be', () => {
    const machine = new Machine(1)
    const names = ['a', 'b', 'c', 'd', 'e']
    onTestFinished(
      subscribe('onrush:lease', () => {
        for (const name of ['of the listener', 'the same']) machine.leave(10, name)
      }),
    )
    machine.lease(0)
    for (const name of names) machine.leave(10, name)
    const watched = ['key', 'of the listener', 'the same', ...names].filter((name) => machine.ask(0, name).pause > 0)
    expect(watched).toEqual(['e'])
  })
})
