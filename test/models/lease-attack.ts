/**
 * A random adversary against limiters that lend units: several processes with clocks that run fast or slow, jump or sleep, late and lost replies,
 * clears, changes of plan, layers and quantities. Which units are leased, and until when, is decided by the functions of src.
 */
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Layer } from '../../src/algorithms/driver.ts'
import type { Instant, Lease } from '../../src/leases/lease.ts'
import { ProcessClock, ServerClock } from './lease-clocks.ts'
import { HONEST, type LeaseRules, leaseBy } from './lease-rules.ts'
import { type Charge, LendingKey } from './lease-server.ts'
import { randomSetting, type Setting } from './lease-setting.ts'
import { type Judgement, Verdict } from './lease-verdict.ts'

interface Process {
  readonly clock: ProcessClock
  /** True: its machine sleeps at times. False: its wall clock jumps. */
  readonly sleeps: boolean
  awakeAt: number
  leases: HeldLease[]
}

/** Units that a process holds. `ends`: when the windows end in which they were charged, by the server's clock. */
interface HeldLease {
  readonly process: Process
  readonly lease: Lease
  readonly chargedAt: number
  readonly ends: readonly number[]
}

/** A call whose reply is on its way. */
interface Sent {
  readonly process: Process
  readonly layers: readonly Layer[]
  readonly at: Instant
}

/** µs: machines sleep for longer than a lease, by more than what a wall clock in whole ms cannot tell. */
const UNSEEN = 2000

export function attack(seed: number, rules: LeaseRules = HONEST): Judgement {
  return new Attack(seed, rules).run()
}

class Attack {
  readonly #random: ReturnType<typeof xoroshiro128plus>
  readonly #rules: LeaseRules
  readonly #setting: Setting
  readonly #serverClock: ServerClock
  readonly #key: LendingKey
  readonly #processes: readonly Process[]
  readonly #verdict: Verdict
  readonly #events: { readonly at: number; readonly happen: (now: number) => void }[] = []
  #plan = 0

  constructor(seed: number, rules: LeaseRules) {
    this.#random = xoroshiro128plus(seed)
    this.#rules = rules
    this.#setting = randomSetting((most) => this.#draw(most))
    this.#serverClock = new ServerClock(this.#drift())
    this.#key = new LendingKey(rules, this.#setting.within)
    this.#key.open(this.#layers(), this.#serverClock.at(0))
    this.#processes = Array.from({ length: 1 + this.#draw(4) }, () => {
      return { clock: new ProcessClock(this.#drift()), sleeps: this.#draw(1) === 0, awakeAt: 0, leases: [] }
    })
    this.#verdict = new Verdict(this.#setting, this.#serverClock)
  }

  /** A whole number from 0 to `most`. */
  #draw(most: number): number {
    return uniformInt(this.#random, 0, most)
  }

  /** 200 parts in a million, either way. */
  #drift(): number {
    return (this.#draw(400) - 200) / 1e6
  }

  run(): Judgement {
    const { within, steps } = this.#setting
    let time = 1
    for (let step = 0; step < steps; step++) {
      time += 1 + this.#draw(this.#draw(3) === 0 ? within : Math.ceil(within / 8))
      this.#happenUntil(time)
      this.#act(time)
    }
    this.#happenUntil(Number.POSITIVE_INFINITY)
    return this.#verdict.given()
  }

  #happenUntil(time: number): void {
    for (let next = this.#events[0]; next !== undefined && next.at <= time; next = this.#events[0]) {
      this.#events.shift()
      next.happen(next.at)
    }
  }

  #at(time: number, happen: (now: number) => void): void {
    const place = this.#events.findIndex(({ at }) => at > time)
    this.#events.splice(place < 0 ? this.#events.length : place, 0, { at: time, happen })
  }

  #act(time: number): void {
    const { weather, within, plans, strikes } = this.#setting
    const process = this.#processes[this.#draw(this.#processes.length - 1)]
    const what = this.#draw(99)
    if (process === undefined) return
    if (what < strikes) this.#strike(time)
    else if (what < 75) this.#at(Math.max(time, process.awakeAt), (now) => this.#ask(process, now))
    else if (what < 80 && plans.length > 1) this.#plan = 1 - this.#plan
    else if (weather === 'calm') return
    else if (what < 83 && weather === 'clears') this.#clear(time)
    else if (what < 83) this.#serverClock.jump(time, this.#draw(2 * within) - within)
    else if (process.sleeps && process.awakeAt <= time) {
      const duration = within + UNSEEN + this.#draw(within)
      process.clock.sleep(duration)
      process.awakeAt = time + duration
    } else if (!process.sleeps) process.clock.jump(this.#draw(4 * within) - 2 * within)
  }

  /** Sends a check that asks for a lease. The call and its reply take a while, and may be lost. */
  #ask(process: Process, now: number): void {
    const { within, quantity } = this.#setting
    const slowest = [1, within / 8, within / 2, 2 * within][this.#draw(3)] ?? 1
    const [there, back] = [1 + this.#draw(Math.floor(slowest)), 1 + this.#draw(Math.floor(slowest))]
    const most = this.#draw(1) === 0 ? 1000 : 2 + this.#draw(50)
    const lost = this.#draw(9)
    const layers = this.#layers()
    const sent: Sent = { process, layers, at: process.clock.at(now) }
    if (lost === 0) return
    this.#at(now + there, (chargedAt) => {
      const charge = this.#key.check(layers, quantity, most, this.#serverClock.at(chargedAt))
      if (charge === undefined) return
      this.#verdict.used({ at: chargedAt, units: quantity, chargedAt, ends: charge.ends })
      if (charge.lease === undefined || lost === 1) return
      this.#at(Math.max(chargedAt + back, process.awakeAt), (replied) => this.#keep(sent, charge, chargedAt, replied))
    })
  }

  #keep({ process, layers, at }: Sent, { lease: charge, ends }: Charge, chargedAt: number, now: number): void {
    if (charge === undefined) return
    const times = { sent: at, replied: process.clock.at(now) }
    const lease = leaseBy(this.#rules, layers, charge, this.#setting.within, times)
    const held: HeldLease = { process, lease, chargedAt, ends }
    process.leases = process.leases.filter((one) => one.lease.left > 0 && this.#isLive(one, now))
    process.leases.push(held)
    // The last instant by the steady clock, if nothing happens to the clock until then.
    const left = process.clock.realTime(lease.end - times.replied.steady)
    const how = this.#draw(3)
    if (how === 0) this.#at(now + Math.max(0, Math.ceil(left) - 1), (last) => this.#use(held, charge.units, last))
    else if (how === 1) this.#use(held, 1 + this.#draw(charge.units - 1), now)
  }

  #isLive({ process, lease }: HeldLease, now: number): boolean {
    const { steady, wall } = process.clock.at(now)
    return now >= process.awakeAt && lease.holdsAt(steady, this.#rules.heedsWall ? wall : 0)
  }

  #use(held: HeldLease, most: number, now: number): void {
    const { lease, process, chargedAt, ends } = held
    if (process.awakeAt > now) {
      this.#at(process.awakeAt, (later) => this.#use(held, most, later))
      return
    }
    const units = Math.min(most, lease.left)
    const whole = units - (units % this.#setting.quantity)
    if (whole === 0 || !this.#isLive(held, now)) return
    lease.spend(whole, process.clock.at(now).steady)
    this.#verdict.used({ at: now, units: whole, chargedAt, ends })
  }

  /** Everybody uses all at once, and takes what is left. */
  #strike(now: number): void {
    for (const { leases } of this.#processes) for (const held of leases) this.#use(held, held.lease.left, now)
    const { quantity } = this.#setting
    const [layers, time] = [this.#layers(), this.#serverClock.at(now)]
    const available = this.#key.available(layers, time)
    const units = available - (available % quantity)
    if (units === 0) return
    const charge = this.#key.check(layers, units, 0, time)
    if (charge !== undefined) this.#verdict.used({ at: now, units, chargedAt: now, ends: charge.ends })
  }

  #clear(now: number): void {
    this.#key.clear()
    this.#verdict.cleared(now)
  }

  #layers(): readonly Layer[] {
    return this.#setting.plans[this.#plan] ?? []
  }
}
