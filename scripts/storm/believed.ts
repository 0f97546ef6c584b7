/** What the processes of a storm believed to hold, from what they wrote. */

/** A time in which more may be held than there is, as docs say. In µs, as all times here. */
export interface Span {
  readonly from: number
  readonly to: number
}

interface Change {
  readonly at: number
  readonly key: string
  readonly units: number
}

/** A time in which a process did not run, and the first turn of its event loop after it. */
interface Stall extends Span {
  readonly pid: string
}

/** How long the first turn of the event loop takes at most, in µs. */
const FIRST_TURN = 20_000

/** A permit that was got: when it was asked for, when it came, and its token. */
interface Got {
  readonly key: string
  readonly since: number
  readonly at: number
  readonly token: number
}

export class Believed {
  readonly #changes: readonly Change[]
  readonly #got: readonly Got[]
  /** When processes were killed, by the names that the server knows. */
  readonly deaths: ReadonlyMap<number, number>

  constructor(changes: readonly Change[], got: readonly Got[], deaths: ReadonlyMap<number, number>) {
    this.#changes = changes.toSorted((one, other) => one.at - other.at || one.units - other.units)
    this.#got = got
    this.deaths = deaths
  }

  get starts(): number {
    return this.#got.length
  }

  mostHeld(excused: readonly Span[]): number {
    return Math.max(0, ...this.#heights(excused).map(({ units }) => units))
  }

  violations(count: number, excused: readonly Span[]): string[] {
    const over = this.#heights(excused).filter(({ units }) => units > count)
    return [
      ...over.slice(0, 5).map(({ at, key, units }) => `${units} units of ${key} held at ${at}`),
      ...this.#fallenTokens().slice(0, 5),
    ]
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

  /** Whoever asks after somebody else has got a permit gets a greater token. */
  #fallenTokens(): string[] {
    const fallen: string[] = []
    for (const key of new Set(this.#got.map((one) => one.key))) {
      const came = this.#got.filter((one) => one.key === key).toSorted((one, other) => one.at - other.at)
      const asked = came.toSorted((one, other) => one.since - other.since)
      let next = 0
      let greatest = 0
      for (const { since, token } of asked) {
        for (let one = came[next]; one !== undefined && one.at < since; one = came[++next])
          greatest = Math.max(greatest, one.token)
        if (token <= greatest) fallen.push(`the token ${token} of ${key} came after ${greatest}`)
      }
      if (new Set(came.map(({ token }) => token)).size < came.length) fallen.push(`a token of ${key} was given twice`)
    }
    return fallen
  }
}

/** @param deaths when each process was killed, by its pid */
export function believedIn(log: string, deaths: ReadonlyMap<number, number>): Believed {
  const changes: Change[] = []
  const open = new Map<string, Change & { readonly pid: number }>()
  const got: Got[] = []
  const deathsByHolder = new Map<number, number>()
  const lines = log.split('\n')
  const stalls = stallsIn(lines)
  for (const line of lines) {
    const [pid = '', time = '', what = '', key = '', serial = '', value = '', since = ''] = line.split(' ')
    const at = Number(time)
    const name = `${pid} ${serial} ${key}`
    const died = deaths.get(Number(pid))
    if (what === 'is' && died !== undefined) deathsByHolder.set(Number(value), died)
    else if (what === 'got') got.push({ key, since: Number(since), at, token: Number(value) })
    else if (what === 'has') {
      const change = { at, key, units: Number(value) }
      changes.push(change)
      open.set(name, { ...change, pid: Number(pid) })
    } else if (what === 'ends' || what === 'lost') {
      // Who does not run does not work either: what ends in the first turn after a stall was held until its begin.
      const stall = stalls.find((one) => one.pid === pid && one.from <= at && at <= one.to)
      changes.push({ at: stall ? stall.from : at, key, units: -Number(value) })
      open.delete(name)
    }
  }
  // Who was killed believes nothing any more.
  for (const { key, units, pid } of open.values()) {
    const died = deaths.get(pid)
    if (died !== undefined) changes.push({ at: died, key, units: -units })
  }
  return new Believed(changes, got, deathsByHolder)
}

function stallsIn(lines: readonly string[]): Stall[] {
  return lines.flatMap((line) => {
    const [pid = '', time, what, , , , since] = line.split(' ')
    return what === 'stalled' ? [{ pid, from: Number(since), to: Number(time) + FIRST_TURN }] : []
  })
}
