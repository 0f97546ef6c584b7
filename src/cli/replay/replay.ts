/** Plays logs through candidates: each rate by each algorithm, and if asked all rates together. */
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { microseconds } from '../../duration.ts'
import { Quota } from '../../quota.ts'
import { quotasIn } from '../../rate.ts'
import {
  type SimulatedRequests,
  type Simulation,
  type SmallestLimit,
  simulate,
  smallestLimit,
} from '../../simulate/index.ts'
import { DictionaryStore } from '../../stores/in-process/dictionary.ts'
import { Throttle } from '../../throttle.ts'
import { limiterOf } from '../algorithms.ts'
import { UsageError } from '../exit-codes.ts'
import { wholeNumber } from '../option-values.ts'
import { condition } from './condition.ts'
import { keyExpression } from './key-expression.ts'
import { sourceOf } from './lines.ts'
import { UnreadableLines } from './log-entry.ts'
import { FORMAT_NAMES } from './log-format.ts'
import { LineCounts, OwnTexts, requestsOf } from './log-requests.ts'
import { mergedByTime } from './merge.ts'
import { Spool } from './spool.ts'

/** Options as the command line gives them. */
export interface ReplayOptions {
  readonly key: string
  readonly rate: readonly string[]
  readonly algorithm: readonly string[]
  readonly together?: boolean | undefined
  readonly smallest: readonly string[]
  readonly touching: string
  readonly where: readonly string[]
  readonly cost?: string | undefined
  readonly time?: string | undefined
  readonly timeZone: string
  readonly format?: string | undefined
  readonly sortWithin: string
  readonly top: string
}

/** A candidate: a text that names its rates and its algorithm. */
export interface Candidate {
  readonly name: string
  readonly throttle: Throttle
}

/** The smallest limit of a period by an algorithm. */
export interface FoundLimit extends SmallestLimit {
  readonly period: string
  readonly algorithm: string
}

export interface Replay {
  readonly logs: readonly string[]
  readonly key: string
  readonly lines: LineCounts
  readonly unreadable: UnreadableLines
  readonly simulation: Simulation
  /** Names of the candidates, in the order of the simulation's throttles. */
  readonly candidates: readonly string[]
  /** The share of keys that a smallest limit may touch. */
  readonly touching: number
  readonly smallest: readonly FoundLimit[]
}

/**
 * @param progress is called with the share of the logs that is read, from 0 to 1, if their size is known
 * @throws UsageError for options or logs that cannot be read
 */
export async function replay(
  files: readonly string[],
  options: ReplayOptions,
  stdin: Readable,
  progress: (share: number) => void,
): Promise<Replay> {
  const store = new DictionaryStore()
  const candidates = candidatesOf(options, store)
  const touching = shareIn(options.touching)
  if (candidates.length === 0 && options.smallest.length === 0) {
    throw new UsageError('give at least one --rate to try, or --smallest with a period')
  }
  const format = options.format
  if (format !== undefined && !FORMAT_NAMES.includes(format)) {
    throw new UsageError(`--format must be one of ${FORMAT_NAMES.join(', ')}, got ${JSON.stringify(format)}`)
  }
  const key = keyExpression(options.key)
  const where = options.where.map(condition)
  orUsage(() => microseconds(options.sortWithin, 'the duration'), '--sort-within')
  if (files.filter((name) => name === '-').length > 1) throw new UsageError('standard input, -, can be read only once')
  const sources = await Promise.all(files.map(sourceOf))
  const size = sources.reduce((sum, source) => sum + source.size, 0)
  const unreadable = new UnreadableLines()
  const lines = new LineCounts()
  const keys = new OwnTexts()
  let read = 0
  const requests = mergedByTime(
    sources.map((source) =>
      requestsOf(
        source,
        {
          key,
          where,
          format,
          stdin,
          unreadable,
          cost: options.cost,
          time: options.time,
          timeZone: options.timeZone,
          progress: (bytes) => {
            read += bytes
            if (size > 0) progress(Math.min(read / size, 1))
          },
        },
        lines,
        keys,
      ),
    ),
  )
  await using spool = await Spool.open()
  const { sortWithin } = options
  const simulation = await simulate(
    options.smallest.length > 0 ? spool.keep(requests) : requests,
    candidates.map(({ throttle }) => throttle),
    { sortWithin, hardestHit: wholeNumber('--top', options.top, 0) },
  )
  if (simulation.requests === 0) throw new UsageError(noRequests(lines, unreadable))
  return {
    logs: files.map((name) => (name === '-' ? 'standard input' : basename(name))),
    key: options.key,
    lines,
    unreadable,
    simulation,
    candidates: candidates.map(({ name }) => name),
    touching,
    smallest: await smallestLimits(() => spool.read(), options, touching, store),
  }
}

function candidatesOf({ rate, algorithm, together }: ReplayOptions, store: DictionaryStore): Candidate[] {
  const rates = rate.map((text) => ({ text, quotas: [readRate(text)].flat() }))
  return algorithm.flatMap((name) => {
    const limiter = limiterOf(name, store)
    const alone = rates.map(({ text, quotas }) => ({
      name: `${text} by ${name}`,
      throttle: made(text, { limiter, rate: quotas }),
    }))
    if (together !== true || rates.length < 2) return alone
    const all = rates.flatMap(({ quotas }) => quotas)
    const texts = rates.map(({ text }) => text).join('; ')
    return [...alone, { name: `all together by ${name}`, throttle: made(texts, { limiter, rate: all }) }]
  })
}

function readRate(text: string): Quota | readonly Quota[] {
  return orUsage(() => quotasIn(text), `--rate ${JSON.stringify(text)}`)
}

function made(text: string, options: ConstructorParameters<typeof Throttle>[0]): Throttle {
  return orUsage(() => new Throttle(options), `--rate ${JSON.stringify(text)}`)
}

async function smallestLimits(
  read: () => SimulatedRequests,
  { smallest, algorithm, sortWithin }: ReplayOptions,
  keysRefusedShare: number,
  store: DictionaryStore,
): Promise<FoundLimit[]> {
  const found: FoundLimit[] = []
  for (const period of smallest) {
    const { period: milliseconds } = orUsage(
      () => Quota.parse(`1 per ${period}`),
      `--smallest ${JSON.stringify(period)}`,
    )
    for (const name of algorithm) {
      const options = { limiter: limiterOf(name, store), period: milliseconds, keysRefusedShare, sortWithin }
      found.push({ ...(await smallestLimit(read, options)), period, algorithm: name })
    }
  }
  return found
}

/** Reads `0.1%` or `0.001`. */
function shareIn(text: string): number {
  const number = Number(text.endsWith('%') ? text.slice(0, -1) : text) / (text.endsWith('%') ? 100 : 1)
  if (text.trim() !== '' && number >= 0 && number < 1) return number
  throw new UsageError(
    `--touching must be a share from 0% to less than 100%, such as 0.1%, got ${JSON.stringify(text)}`,
  )
}

/** Runs `make`; an error about a value becomes one about the command line. */
function orUsage<Made>(make: () => Made, what: string): Made {
  try {
    return make()
  } catch (error) {
    throw new UsageError(`${what}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function noRequests({ lines, excluded, withoutKey, free }: LineCounts, { count, examples }: UnreadableLines): string {
  const first = examples[0]
  const example = first === undefined ? '' : ` (line ${first.line} of ${first.source}: ${JSON.stringify(first.text)})`
  return `the logs hold no request to play: ${lines} lines read, ${excluded} excluded by --where, ${withoutKey} without a key, ${free} of cost 0, ${count} that cannot be read${example}`
}
