/** The order in which keys are checked. Made before the measurement, and the same for all contestants of a question. */
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** The key of the check at `index`. */
export type Keys = (index: number) => string

/** A description of keys that can be sent to a process. */
export type KeyOrder =
  /** All keys equally likely. */
  | { readonly kind: 'uniform'; readonly count: number }
  /** The key of rank r has a probability proportional to 1 / r, as visits of users and pages do. */
  | { readonly kind: 'zipf'; readonly count: number }
  | { readonly kind: 'one' }
  /** Every key `times` times, in order. Each is a new string, so that a contestant that keeps keys pays for them. */
  | { readonly kind: 'fresh'; readonly times: number }

/** The number of checks after which the order repeats. */
const LENGTH = 1 << 18
const SEED = 1
const RANGE = 2 ** 31

const known = new Map<string, Keys>()

export function keysOf(order: KeyOrder): Keys {
  const name = JSON.stringify(order)
  const keys = known.get(name) ?? made(order)
  known.set(name, keys)
  return keys
}

function made(order: KeyOrder): Keys {
  switch (order.kind) {
    case 'uniform':
      return uniformKeys(order.count)
    case 'zipf':
      return zipfKeys(order.count)
    case 'one':
      return repeated(namesOf(1))
    case 'fresh':
      return (index) => keyName(Math.floor(index / order.times))
  }
}

function keyName(index: number): string {
  return `user:${String(index).padStart(7, '0')}`
}

function uniformKeys(count: number): Keys {
  const names = namesOf(count)
  const random = xoroshiro128plus(SEED)
  return repeated(Array.from({ length: LENGTH }, () => pick(names, uniformInt(random, 0, count - 1))))
}

function zipfKeys(count: number): Keys {
  const names = namesOf(count)
  const cumulative: number[] = []
  let sum = 0
  for (let rank = 1; rank <= count; rank++) {
    sum += 1 / rank
    cumulative.push(sum)
  }
  const random = xoroshiro128plus(SEED)
  const draw = (): number => (uniformInt(random, 0, RANGE - 1) / RANGE) * sum
  return repeated(Array.from({ length: LENGTH }, () => pick(names, firstAbove(cumulative, draw()))))
}

function namesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => keyName(index))
}

function repeated(sequence: readonly string[]): Keys {
  return (index) => pick(sequence, index % sequence.length)
}

function pick(names: readonly string[], index: number): string {
  const name = names[index]
  if (name === undefined) throw new RangeError(`There is no key ${index}`)
  return name
}

/** The first index whose value is above `bound`, in a sorted array. */
function firstAbove(rising: readonly number[], bound: number): number {
  let low = 0
  let high = rising.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rising[middle] ?? 0) > bound) high = middle
    else low = middle + 1
  }
  return low
}
