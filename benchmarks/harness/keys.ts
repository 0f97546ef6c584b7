/** Which keys are asked for, in which order: made before the clock runs, and the same for all contestants of a run. */

/** The key of the check of this number. */
export type Keys = (index: number) => string

/** As many checks as a round may hold before the order repeats. */
const LENGTH = 1 << 18

export function keyName(index: number): string {
  return `user:${String(index).padStart(7, '0')}`
}

/** Each key as likely as any other. */
export function uniformKeys(count: number): Keys {
  const names = namesOf(count)
  return repeated(Array.from({ length: LENGTH }, () => pick(names, Math.floor(Math.random() * count))))
}

/** The key of rank r is asked for in proportion to 1 / r, as users and pages are. */
export function zipfKeys(count: number): Keys {
  const names = namesOf(count)
  const cumulative: number[] = []
  let sum = 0
  for (let rank = 1; rank <= count; rank++) {
    sum += 1 / rank
    cumulative.push(sum)
  }
  return repeated(Array.from({ length: LENGTH }, () => pick(names, firstAbove(cumulative, Math.random() * sum))))
}

export function oneKey(): Keys {
  const name = keyName(0)
  return () => name
}

/** Every key once, in order, made anew so that whoever keeps it pays for it. */
export function freshKeys(): Keys {
  return keyName
}

function namesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => keyName(index))
}

function repeated(sequence: readonly string[]): Keys {
  return (index) => pick(sequence, index % LENGTH)
}

function pick(names: readonly string[], index: number): string {
  const name = names[index]
  if (name === undefined) throw new RangeError(`There is no key ${index}`)
  return name
}

/** The first index whose value is above `bound`, in a rising array. */
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
