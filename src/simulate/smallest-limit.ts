/**
 * Finds the smallest limit that refuses few keys. A key whose requests all pass under a limit also passes under every larger one, on each
 * algorithm of the library. So the share of keys with a refusal falls as the limit grows, and a search by bisection finds the limit.
 */
import { checkFunction, named, notInstance } from '../arguments.ts'
import type { Duration } from '../duration.ts'
import { AlgorithmLimiter, layersOf } from '../limiters/limiters.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { Quota } from '../quota.ts'
import type { SimulatedRequests } from './request.ts'
import { playInOrder } from './simulate.ts'
import { Traffic } from './traffic.ts'
import { shareOf, Trial } from './trial.ts'

/** Options of `smallestLimit`. */
export interface SmallestLimitOptions {
  /** The algorithm that counts. Its store is neither read nor written. */
  readonly limiter: AlgorithmLimiter
  /** The period of the quota: milliseconds, or a text such as `'1 minute'`; from 1 µs to 10 years. */
  readonly period: Duration
  /** The share of keys that may have a request refused, from 0 to less than 1. The limit refuses fewer, or none. Default 0.001. */
  readonly keysRefusedShare?: number | undefined
  /** How much later than a later request an earlier one may come in the source, as in `simulate`: 0 or more ms. Default 10 s. */
  readonly sortWithin?: Duration | undefined
}

/** A limit that was tried. */
export interface TriedLimit {
  /** The quota of this limit. */
  readonly quota: Quota
  /** Requests refused, as a share of all, from 0 to 1. */
  readonly refusedShare: number
  /** Keys with a request refused, as a share of all keys, from 0 to 1. */
  readonly keysRefusedShare: number
}

/** The smallest limit that refuses few enough keys. */
export interface SmallestLimit {
  /** The quota of the smallest limit. */
  readonly quota: Quota
  /** All limits that were tried, smallest first: the curve of limit against refused share. */
  readonly curve: readonly TriedLimit[]
}

const OPTIONS = optionNames<SmallestLimitOptions>({
  limiter: true,
  period: true,
  keysRefusedShare: true,
  sortWithin: true,
})

/** How many limits are tried in one reading of the requests. */
const TRIED_AT_ONCE = 15

/**
 * Finds the smallest quota of a period under which fewer than a share of the keys have a request refused, and none at all where the share is
 * 0. The requests are read several times, about five.
 * @param read gives the requests anew, each time it is called
 * @returns rejects with a TypeError or RangeError for wrong arguments
 * @example
 * const requests = [0, 10, 20].map((time) => ({ key: 'user:42', time }))
 * const limiter = new FixedWindowLimiter({ store: new DictionaryStore() })
 * const { quota } = await smallestLimit(() => requests, { limiter, period: '1 minute' })
 * console.log(String(quota)) // 3/1m
 */
export async function smallestLimit(
  read: () => SimulatedRequests,
  options: SmallestLimitOptions,
): Promise<SmallestLimit> {
  checkFunction('read', read)
  checkOptionNames('options of smallestLimit', options, OPTIONS)
  const { limiter, period, keysRefusedShare = 0.001, sortWithin } = options
  if (!(limiter instanceof AlgorithmLimiter)) {
    throw notInstance('limiter must be one of an algorithm', AlgorithmLimiter, limiter)
  }
  if (typeof keysRefusedShare !== 'number') {
    throw new TypeError(`keysRefusedShare must be a number, got ${named(keysRefusedShare)}`)
  }
  if (!(keysRefusedShare >= 0 && keysRefusedShare < 1)) {
    throw new RangeError(`keysRefusedShare must be from 0 to less than 1, got ${named(keysRefusedShare)}`)
  }
  const tried = new Map<number, TriedLimit>()
  const isEnough = (count: number) => {
    const share = tried.get(count)?.keysRefusedShare ?? 1
    return share < keysRefusedShare || share === 0
  }
  // The largest limit known to be too small, and the smallest known to be enough.
  let tooSmall = 0
  let enough: number | undefined
  while (enough === undefined || enough - tooSmall > 1) {
    const counts = between(tooSmall, enough)
    for (const limit of await tryLimits(read(), limiter, period, counts, sortWithin)) {
      tried.set(limit.quota.count, limit)
    }
    enough = counts.find(isEnough) ?? enough
    tooSmall = counts.filter((count) => enough === undefined || count < enough).at(-1) ?? tooSmall
  }
  const found = tried.get(enough)
  if (found === undefined) throw new RangeError('a smallest limit needs at least one limit tried')
  return { quota: found.quota, curve: [...tried.values()].sort((a, b) => a.quota.count - b.quota.count) }
}

/** Limits to try next, in order: powers of 2 above `tooSmall` if no limit is known to be enough, else evenly spaced ones between. */
function between(tooSmall: number, enough: number | undefined): number[] {
  if (enough === undefined) {
    const from = tooSmall === 0 ? 1 : tooSmall * 2
    return Array.from({ length: TRIED_AT_ONCE }, (_, index) => from * 2 ** index)
  }
  const step = Math.max((enough - tooSmall) / (TRIED_AT_ONCE + 1), 1)
  const counts = new Set<number>()
  for (let count = tooSmall + step; count < enough; count += step) counts.add(Math.floor(count))
  return [...counts]
}

async function tryLimits(
  requests: SimulatedRequests,
  limiter: AlgorithmLimiter,
  period: Duration,
  counts: readonly number[],
  sortWithin: Duration | undefined,
): Promise<TriedLimit[]> {
  const traffic = new Traffic()
  const trials = trialsOf(limiter, period, counts)
  await playInOrder(requests, sortWithin, (request) => {
    traffic.add(request)
    for (const { trial } of trials) trial.play(request)
  })
  return trials.map(({ quota, trial }) => ({
    quota,
    refusedShare: shareOf(trial.refused, traffic.requests),
    keysRefusedShare: shareOf(trial.keysRefused, traffic.keys),
  }))
}

/**
 * Trials of the limits that the algorithm can count.
 * @throws RangeError if the algorithm can count none of the limits.
 */
function trialsOf(
  limiter: AlgorithmLimiter,
  period: Duration,
  counts: readonly number[],
): { quota: Quota; trial: Trial }[] {
  const trials: { quota: Quota; trial: Trial }[] = []
  for (const count of counts) {
    try {
      const quota = new Quota({ count, period })
      trials.push({ quota, trial: new Trial(layersOf(limiter, quota)) })
    } catch (error) {
      if (trials.length === 0) throw error
      break
    }
  }
  return trials
}
