/** Checks at a fixed rate, decided without waiting where the contestant can, and what of it was admitted, and when. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contestant, Decision } from './contestant.ts'
import type { Keys } from './keys.ts'

export interface Pace {
  readonly contestant: Contestant
  readonly keys: Keys
  /** The key whose admissions are told. */
  readonly watched: string
  /** Units of it that are spent at once when the run starts, and not told. */
  readonly drained: number
  /** Checks per second. */
  readonly rate: number
  /** In ms since the epoch. */
  readonly start: number
  /** Milliseconds. */
  readonly duration: number
}

export interface Paced {
  readonly decisions: number
  /** Milliseconds. */
  readonly time: number
  /** Decided in this process. `undefined`: the contestant does not tell. */
  readonly here: number | undefined
  readonly admitted: number
  /** Of the watched key: checks, and when each admitted one was asked and answered, in µs of a clock that all processes of the machine share. */
  readonly watched: number
  readonly asked: readonly number[]
  readonly answered: readonly number[]
  /** Units of ended leases that nobody has used. */
  readonly lapsed: number
}

/** Checks without an answer, above which no more are made, because a contestant that is too slow would only collect them. */
const MOST_PENDING = 4096

export async function pace({ contestant, keys, watched, drained, rate, start, duration }: Pace): Promise<Paced> {
  const before = contestant.leased?.().lapsed ?? 0
  const asked: number[] = []
  const answered: number[] = []
  let [decisions, here, admitted, ofWatched, pending] = [0, 0, 0, 0, 0]

  function count(key: string, since: number, decision: Decision): void {
    decisions++
    if (decision.here) here++
    if (key === watched) ofWatched++
    if (!decision.admitted) return
    admitted++
    if (key !== watched) return
    asked.push(since)
    answered.push(sharedMicroseconds())
  }

  function check(index: number): void {
    const key = keys(index)
    const since = sharedMicroseconds()
    const decision = contestant.decide?.(key) ?? storeDecision(contestant, key)
    if (!(decision instanceof Promise)) {
      count(key, since, decision)
      return
    }
    pending++
    void decision.then((decided) => {
      pending--
      count(key, since, decided)
    })
  }

  // Shortly before, because nothing may have been spent yet when all is spent at once.
  await sleep(start - Date.now() - (drained > 0 ? 5 : 0))
  if (drained > 0) await contestant.admits(watched, drained)
  await sleep(start - Date.now())
  const begin = performance.now()
  let made = 0
  while (performance.now() < begin + duration) {
    const due = Math.floor(((performance.now() - begin) * rate) / 1000)
    for (; made < due; made++) if (pending < MOST_PENDING) check(made)
    await sleep(1)
  }
  // Of the leases that have ended. Those that the end of the run makes lapse say nothing about steady demand.
  const lapsed = (contestant.leased?.().lapsed ?? 0) - before
  while (pending > 0) await sleep(1)
  const time = performance.now() - begin
  return {
    ...{ decisions, time, here: contestant.decide === undefined ? undefined : here, admitted, watched: ofWatched },
    ...{ asked, answered, lapsed },
  }
}

async function storeDecision(contestant: Contestant, key: string): Promise<Decision> {
  return { admitted: (await contestant.admits(key)) === true, here: false }
}

function sharedMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** How the admissions of all processes lie within a bound: units above `limit + count × (span + within) / period` in some span, or below 0. */
export interface Bound {
  readonly limit: number
  /** Units a second. */
  readonly rate: number
  /** µs. */
  readonly within: number
}

/**
 * The most units above the bound that were certainly admitted within some closed span, because they were asked and answered within it: those
 * answered until its end, less those asked before it began.
 */
export function excess(admissions: readonly Pick<Paced, 'asked' | 'answered'>[], bound: Bound): number {
  const asked = admissions.flatMap((one) => one.asked).sort(ascending)
  const answered = admissions.flatMap((one) => one.answered).sort(ascending)
  const refilled = (time: number): number => (bound.rate * time) / 1e6
  let most = Number.NEGATIVE_INFINITY
  let least = Number.POSITIVE_INFINITY
  let begun = 0
  for (const [index, end] of answered.entries()) {
    for (let start = asked[begun]; start !== undefined && start <= end; start = asked[begun]) {
      least = Math.min(least, begun - refilled(start))
      begun++
    }
    most = Math.max(most, index + 1 - refilled(end) - least)
  }
  return most - bound.limit - refilled(bound.within)
}

function ascending(one: number, other: number): number {
  return one - other
}
