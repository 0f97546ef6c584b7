/** How the entries of a batch are divided into several calls: by throttle if that costs less, and by key while a slot is being moved. */
import type { CompiledLayers } from './layers.ts'
import type { Entry } from './request.ts'

/** The fewest checks of a throttle that get a call of their own. Measured: with fewer, a call costs more than its fast script saves. */
const FEWEST_CHECKS = 8

/**
 * The checks of each throttle that gets a call of its own, because a fast script decides them for less. Entries that may share a state stay
 * together, so that their order holds.
 * @param repeats true if a throttle may have several entries on one key
 */
export function ownCalls(entries: readonly Entry[], repeats: boolean): Map<CompiledLayers, Entry[]> {
  const checks = new Map<CompiledLayers, Entry[]>()
  for (const entry of entries) {
    if (entry.closed) continue
    const own = checks.get(entry.decider)
    if (own === undefined) checks.set(entry.decider, [entry])
    else own.push(entry)
  }
  const apart = throttlesApart(entries)
  for (const [decider, own] of checks) {
    if (own.length < FEWEST_CHECKS || decider.script === undefined || !apart.has(decider)) checks.delete(decider)
    else if (own.some(({ terms }) => terms !== undefined)) checks.delete(decider)
    else if (repeats && new Set(own.map(({ key }) => key)).size < own.length) checks.delete(decider)
  }
  return checks
}

/** The throttles that only check, and share no state's name with another in these entries. */
function throttlesApart(entries: readonly Entry[]): Set<CompiledLayers> {
  const apart = new Set<CompiledLayers>()
  const known = new Set<CompiledLayers>()
  const owners = new Map<string, CompiledLayers>()
  const add = (decider: CompiledLayers): void => {
    if (known.has(decider)) return
    known.add(decider)
    apart.add(decider)
    for (const { suffix } of decider.prepared) {
      const owner = owners.get(suffix)
      if (owner === undefined) owners.set(suffix, decider)
      else {
        apart.delete(owner)
        apart.delete(decider)
      }
    }
  }
  for (const entry of entries) {
    if (entry.subjects === undefined) add(entry.decider)
    else for (const { decider } of entry.subjects) add(decider)
  }
  for (const entry of entries) if (entry.closed) for (const { decider } of entry.all()) apart.delete(decider)
  return apart
}

/** The throttles of a batch, each once, so that a throttle can be compared with all entries without a look at each. */
export class ThrottlesOfEntries {
  readonly #known = new Set<CompiledLayers>()
  /** Throttles that conflict with none of those. */
  readonly #harmless = new Set<CompiledLayers>()
  /** How many of the entries were looked at. */
  #looked = 0

  /** True if no throttle of the entries conflicts with this one. The entries are those of the last time, and others behind them. */
  haveNoConflict(decider: CompiledLayers, entries: readonly Entry[]): boolean {
    for (; this.#looked < entries.length; this.#looked++) {
      const entry = entries[this.#looked]
      if (entry?.subjects === undefined) this.#add(entry?.decider)
      else for (const asked of entry.subjects) this.#add(asked.decider)
    }
    if (this.#harmless.has(decider)) return true
    for (const known of this.#known) if (known !== decider && known.conflicts(decider)) return false
    this.#harmless.add(decider)
    return true
  }

  #add(decider: CompiledLayers | undefined): void {
    if (decider === undefined || this.#known.has(decider)) return
    this.#known.add(decider)
    this.#harmless.clear()
  }
}

/** Groups of entries that share no key. Entries of one key keep their order. */
export function groupsByKey(entries: readonly Entry[]): Set<readonly Entry[]> {
  const groups = new Map<string, Entry[]>()
  for (const entry of entries) {
    const near = new Set(entry.all().flatMap(({ key }) => groups.get(key) ?? []))
    const group = [...near, entry]
    for (const member of group) for (const { key } of member.all()) groups.set(key, group)
  }
  return new Set(groups.values())
}
