/**
 * `npm run bench:replay`: how fast `onrush replay` reads each format beside the best parser on npm alone, and how fast it decides. Ratios of
 * one run; both read the same lines, in turns.
 */
import { createRequire } from 'node:module'
import { Readable, type Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parse as parseCsv } from 'csv-parse'
import logfmt from 'logfmt'
import {
  DictionaryStore,
  FixedWindowLimiter,
  GcraLimiter,
  MovingWindowLimiter,
  PeriodicLimiter,
  SlidingWindowCounterLimiter,
  Throttle,
} from 'onrush'
import { simulate } from 'onrush/simulate'
import { keyExpression } from '../src/cli/replay/key-expression.ts'
import { UnreadableLines } from '../src/cli/replay/log-format.ts'
import { LineCounts, requestsOf } from '../src/cli/replay/log-requests.ts'

const LINES = 200_000
const ROUNDS = 3

const rows = Array.from({ length: LINES }, (_, index) => ({
  ip: `10.0.${(index * 7919) % 97}.${index % 251}`,
  time: new Date(1_770_000_000_000 + index * 40).toISOString(),
  path: `/api/orders/${index % 512}`,
  status: index % 9 === 0 ? 404 : 200,
}))

function common({ ip, time, path, status }: (typeof rows)[number]): string {
  const [, year, , day, clock] = /^(\d+)-(\d+)-(\d+)T([\d:]+)/.exec(time) ?? []
  return `${ip} - - [${day}/Feb/${year}:${clock} +0000] "GET ${path} HTTP/1.1" ${status} 512 "-" "bench/1.0"`
}

/** Required, because the package has no types. */
function commonLogFormat(): Transform {
  const Parser: new (options: object) => Transform = createRequire(import.meta.url)('common-log-format')
  return new Parser({ readableObjectMode: true })
}

const nowhere = (): Writable => new Writable({ objectMode: true, write: (_chunk, _encoding, done) => done() })

/** Each format: its lines, and a parser of npm that reads them and does nothing else. */
const FORMATS: readonly [name: string, text: string, alone: (text: string) => Promise<void>][] = [
  [
    'access log, beside common-log-format',
    rows.map(common).join('\n'),
    (text) => pipeline(Readable.from(chunksOf(text)), commonLogFormat(), nowhere()),
  ],
  [
    'JSON lines, beside JSON.parse',
    rows.map((row) => JSON.stringify(row)).join('\n'),
    async (text) => {
      for (const line of text.split('\n')) JSON.parse(line)
    },
  ],
  [
    'logfmt, beside logfmt',
    rows.map(({ ip, time, path, status }) => `time=${time} ip=${ip} path=${path} status=${status}`).join('\n'),
    async (text) => {
      for (const line of text.split('\n')) logfmt.parse(line)
    },
  ],
  [
    'CSV, beside csv-parse',
    `time,ip,path,status\n${rows.map(({ ip, time, path, status }) => `${time},${ip},${path},${status}`).join('\n')}`,
    (text) => pipeline(Readable.from(chunksOf(text)), parseCsv({ columns: true }), nowhere()),
  ],
]

function chunksOf(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / 2 ** 18) }, (_, index) =>
    bytes.subarray(index * 2 ** 18, (index + 1) * 2 ** 18),
  )
}

async function read(text: string): Promise<void> {
  const options = {
    key: keyExpression('ip'),
    cost: undefined,
    where: [],
    time: undefined,
    timeZone: 'UTC',
    format: undefined,
    stdin: Readable.from(chunksOf(text)),
    unreadable: new UnreadableLines(),
    progress: () => {},
  }
  let requests = 0
  for await (const some of requestsOf({ name: '-', size: 0 }, options, new LineCounts())) requests += some.length
  if (requests !== LINES) throw new Error(`read ${requests} of ${LINES} lines`)
}

/** Lines or requests a second: the best of all rounds, because other processes only slow a round down. */
async function perSecond(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now()
  await work()
  return (LINES / (performance.now() - since)) * 1000
}

for (const [name, text, alone] of FORMATS) {
  let [ours, theirs] = [0, 0]
  for (let round = 0; round < ROUNDS; round++) {
    theirs = Math.max(theirs, await perSecond(() => alone(text)))
    ours = Math.max(ours, await perSecond(() => read(text)))
  }
  console.log(`${name}: ${million(ours)} and ${million(theirs)} million lines a second, ${(ours / theirs).toFixed(2)}x`)
}

const store = new DictionaryStore()
const requests = rows.map(({ ip, time }) => ({ key: ip, time: Date.parse(time) }))
const LIMITERS = [GcraLimiter, FixedWindowLimiter, SlidingWindowCounterLimiter, PeriodicLimiter, MovingWindowLimiter]
for (const Limiter of LIMITERS) {
  const throttle = new Throttle({ limiter: new Limiter({ store }), rate: '30/minute' })
  const [without, with20] = [[], Array.from({ length: 20 }, () => throttle)]
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < ROUNDS; round++) {
    least = Math.min(least, LINES / (await perSecond(() => simulate([requests], without))))
    most = Math.min(most, LINES / (await perSecond(() => simulate([requests], with20))))
  }
  console.log(`${Limiter.name}: ${million((LINES * 20) / (most - least))} million decisions a second and candidate`)
}

function million(perSecond: number): string {
  return (perSecond / 1e6).toFixed(2)
}
