/**
 * Games against a limiter that lends units: an adversary chooses when to ask, how much to hold and when to use, and a game plays every choice
 * within its bounds. The algorithms are those of src. All times are whole µs, and a unit is used at an instant before the end of its lease.
 */
import type { Layer } from '../../src/algorithms/driver.ts'
import { chargeLease } from '../../src/algorithms/lease.ts'
import type { Lease } from '../../src/leases/lease.ts'
import { HONEST, type LeaseRules, leaseBy, seenBy } from './lease-rules.ts'

export interface World {
  readonly layers: readonly Layer[]
  /** Of each lease. 0: there are none, and each check is used when it is charged. */
  readonly within: number
  /** The last instant; the first is 0. */
  readonly time: number
  /** How long a call may be on its way there, and its reply on its way back. Default 0. */
  readonly delay?: number
  readonly rules?: LeaseRules
}

/** Units that one call has lent. */
export interface Lent {
  /** When the reply had come. */
  readonly from: number
  readonly lease: Lease
  readonly units: number
}

export interface Position {
  readonly now: number
  readonly states: readonly unknown[]
  readonly lent: readonly Lent[]
}

/** What a game watches: it sees each instant and each use, and says what is wrong. */
export interface Referee<Record> {
  begin(world: World): Record
  /** The records to go on with at a new instant. */
  at(record: Record, position: Position): readonly Record[]
  /** The record after one more unit was used now; a text: what is wrong with that. */
  use(record: Record, position: Position): Record | string
  keyOf(record: Record, now: number): string
}

export interface Outcome {
  readonly positions: number
  readonly fault?: string
}

interface Node<Record> extends Position {
  readonly record: Record
  /** True once a unit was used at this instant: asking comes before using, because using changes nothing that asking sees. */
  readonly isUsing: boolean
}

export function play<Record>(world: World, referee: Referee<Record>): Outcome {
  const { layers, within, time, delay = 0, rules = HONEST } = world
  const seenLayers = seenBy(rules, layers)
  const seen = new Set<string>()
  const stack: Node<Record>[] = []
  const visit = (node: Node<Record>): void => {
    const key = `${keyOf(layers, node)};${Number(node.isUsing)};${referee.keyOf(node.record, node.now)}`
    if (seen.has(key)) return
    seen.add(key)
    stack.push(node)
  }
  const arrive = (record: Record, position: Position): void => {
    for (const next of referee.at(record, position)) visit({ ...position, record: next, isUsing: false })
  }
  arrive(referee.begin(world), {
    now: 0,
    states: layers.map(({ algorithm, quota }) => algorithm.open(0, quota)),
    lent: [],
  })
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const { now, lent, record } = node
    if (now < time) arrive(record, tick(layers, node))
    const used = (position: Position): Outcome | undefined => {
      const next = referee.use(record, position)
      if (typeof next === 'string') return { positions: seen.size, fault: `${next}, at ${JSON.stringify(position)}` }
      visit({ ...position, record: next, isUsing: true })
      return undefined
    }
    for (const [index, { from, units }] of lent.entries()) {
      if (from > now) continue
      const outcome = used({ ...node, lent: changed(lent, index, units - 1) })
      if (outcome !== undefined) return outcome
      if (rules.givesBack && !node.isUsing)
        visit({ ...node, states: givenBack(layers, node), lent: changed(lent, index, units - 1) })
    }
    const available = Math.min(
      ...layers.map(({ algorithm, quota }, index) => algorithm.available(node.states[index], now, quota)),
    )
    if (available === 0) continue
    // A check that is answered by the store spends a unit and uses it.
    const outcome = used({ ...node, states: spent(layers, node, 1) })
    if (outcome !== undefined) return outcome
    if (within === 0 || node.isUsing) continue
    for (let units = 1; units <= available; units++) {
      const states = node.states.map(copyOf)
      const charge = chargeLease(seenLayers, states, units, within, now)
      for (let there = 0; there <= delay; there++) {
        for (let back = 0; back <= delay; back++) {
          const times = { sent: { steady: now - there, wall: 0 }, replied: { steady: now + back, wall: 0 } }
          const lease = leaseBy(rules, layers, charge, within, times)
          visit({ ...node, states, lent: [...lent, { from: now + back, lease, units }] })
        }
      }
    }
  }
  return { positions: seen.size }
}

function tick(layers: readonly Layer[], { now, states, lent }: Position): Position {
  return {
    now: now + 1,
    states: layers.map(({ algorithm, quota }, index) => algorithm.roll(copyOf(states[index]), now + 1, quota)),
    lent: lent.filter(({ lease }) => lease.holdsAt(now + 1, 0)),
  }
}

function spent(layers: readonly Layer[], { now, states }: Position, units: number): unknown[] {
  return layers.map(({ algorithm, quota }, index) => algorithm.spend(copyOf(states[index]), units, now, quota))
}

function givenBack(layers: readonly Layer[], { now, states }: Position): unknown[] {
  return layers.map(({ algorithm, quota }, index) => {
    const state = copyOf(states[index])
    return algorithm.giveBack(state, 1, algorithm.mark(state, now, quota), now, quota)
  })
}

function changed(lent: readonly Lent[], index: number, units: number): Lent[] {
  return lent.flatMap((one, place) => {
    if (place !== index) return one
    return units === 0 ? [] : { ...one, units }
  })
}

/** Algorithms change states in place. */
export function copyOf(state: unknown): unknown {
  return Array.isArray(state) ? [...state] : structuredClone(state)
}

/** What leases of equal times have in common is their sum. */
function keyOf(layers: readonly Layer[], { now, states, lent }: Position): string {
  const sums = new Map<string, number>()
  for (const { from, lease, units } of lent) {
    const times = `${Math.max(from, now)}-${lease.end}`
    sums.set(times, (sums.get(times) ?? 0) + units)
  }
  return `${now};${statesKey(layers, states, now)};${[...sums].sort().join(' ')}`
}

export function statesKey(layers: readonly Layer[], states: readonly unknown[], now: number): string {
  return layers
    .map(({ algorithm, quota }, index) => {
      const state = states[index]
      return Array.isArray(state) ? state.join() : algorithm.toData(state, now, quota).history?.join()
    })
    .join('|')
}
