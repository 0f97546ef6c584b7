/** What the processes of a storm believed to hold, from what they wrote. */

interface Span {
  readonly from: number
  readonly to: number
}

interface Change {
  readonly at: number
  readonly key: string
  readonly units: number
}

export class Believed {
  readonly starts: number
  readonly #changes: readonly Change[]
  readonly #tokens: readonly string[]

  constructor(starts: number, changes: readonly Change[], tokens: readonly string[]) {
    this.starts = starts
    this.#changes = changes.toSorted((one, other) => one.at - other.at || one.units - other.units)
    this.#tokens = tokens
  }

  mostHeld(excused: readonly Span[]): number {
    return Math.max(0, ...this.#heights(excused).map(({ units }) => units))
  }

  violations(count: number, excused: readonly Span[]): string[] {
    const over = this.#heights(excused).filter(({ units }) => units > count)
    return [...over.slice(0, 5).map(({ at, key, units }) => `${units} units of ${key} held at ${at}`), ...this.#tokens]
  }

  #heights(excused: readonly Span[]): Change[] {
    const held = new Map<string, number>()
    const heights: Change[] = []
    for (const { at, key, units } of this.#changes) {
      const now = (held.get(key) ?? 0) + units
      held.set(key, now)
      if (units > 0 && !excused.some(({ from, to }) => at >= from && at <= to)) heights.push({ at, key, units: now })
    }
    return heights
  }
}

/** @param deaths when each process was killed */
export function believedIn(log: string, deaths: ReadonlyMap<number, number>): Believed {
  const changes: Change[] = []
  const open = new Map<string, Change & { readonly pid: number }>()
  const tokens = new Set<string>()
  const twice: string[] = []
  let starts = 0
  for (const line of log.split('\n')) {
    const [pid = '', time = '', what = '', key = '', serial = '', value = ''] = line.split(' ')
    const at = Number(time)
    const name = `${pid} ${serial}`
    if (what === 'got') {
      starts++
      if (tokens.has(`${key} ${value}`)) twice.push(`the token ${value} of ${key} was given twice`)
      tokens.add(`${key} ${value}`)
    } else if (what.startsWith('has')) {
      const change = { at, key, units: Number(value) }
      changes.push(change)
      open.set(name, { ...change, pid: Number(pid) })
    } else if (what === 'ends' || what === 'lost') {
      changes.push({ at, key, units: -Number(value) })
      open.delete(name)
    }
  }
  // Who was killed believes nothing any more.
  for (const { key, units, pid } of open.values()) {
    const died = deaths.get(pid)
    if (died !== undefined) changes.push({ at: died, key, units: -units })
  }
  return new Believed(starts, changes, twice)
}
