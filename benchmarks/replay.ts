/**
 * `npm run bench:replay`: how fast `onrush replay` reads each format beside the best parsers on npm alone, and how fast it decides. All read
 * the same bytes, in turns. Time is that of the processor, because other processes only take turns with this one.
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
import split2 from 'split2'
import { inferSchema, initParser } from 'udsv'
import { keyExpression } from '../src/cli/replay/key-expression.ts'
import { UnreadableLines } from '../src/cli/replay/log-entry.ts'
import { readLog } from '../src/cli/replay/log-format.ts'
import { LineCounts, OwnTexts, requestsOf } from '../src/cli/replay/log-requests.ts'

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

type Parse = (text: string) => Promise<unknown>

/** Each format: its lines, and parsers that read them and do nothing else. */
const FORMATS: readonly [name: string, text: string, others: Readonly<Record<string, Parse>>][] = [
  [
    'access log',
    rows.map(common).join('\n'),
    { 'common-log-format': (text) => pipeline(Readable.from(chunksOf(text)), commonLogFormat(), nowhere()) },
  ],
  [
    'JSON lines',
    rows.map((row) => JSON.stringify(row)).join('\n'),
    {
      'split2 with JSON.parse': (text) => pipeline(Readable.from(chunksOf(text)), split2(JSON.parse), nowhere()),
      'JSON.parse, of the engine': async (text) => forEachLine(text, JSON.parse),
    },
  ],
  [
    'logfmt',
    rows.map(({ ip, time, path, status }) => `time=${time} ip=${ip} path=${path} status=${status}`).join('\n'),
    { logfmt: async (text) => forEachLine(text, logfmt.parse) },
  ],
  [
    'CSV',
    `time,ip,path,status\n${rows.map(({ ip, time, path, status }) => `${time},${ip},${path},${status}`).join('\n')}`,
    {
      'csv-parse': (text) => pipeline(Readable.from(chunksOf(text)), parseCsv({ columns: true }), nowhere()),
      udsv: async (text) => {
        const all = Buffer.from(text).toString('utf8')
        return initParser(inferSchema(all)).stringObjs(all)
      },
    },
  ],
]

function chunksOf(text: string): Buffer[] {
  const bytes = Buffer.from(text)
  return Array.from({ length: Math.ceil(bytes.length / 2 ** 18) }, (_, index) =>
    bytes.subarray(index * 2 ** 18, (index + 1) * 2 ** 18),
  )
}

/** For parsers of one line: they too are given bytes. */
function forEachLine(text: string, parse: (line: string) => unknown): void {
  for (const line of Buffer.from(text).toString('utf8').split('\n')) parse(line)
}

function optionsOf(text: string) {
  return {
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
}

/** Lines alone: each is found to be one of the format, and the fields that a replay needs are read. */
async function parse(text: string): Promise<void> {
  let fields = 0
  const log = readLog({ name: '-', size: 0 }, optionsOf(text), (entry) => {
    if (entry.field('ip') !== undefined) fields++
    if (entry.field('time') !== undefined) fields++
  })
  for await (const _ of log);
  if (fields !== 2 * LINES) throw new Error(`read ${fields} fields of ${LINES} lines`)
}

/** Requests: times and keys too. */
async function read(text: string): Promise<void> {
  let requests = 0
  const log = requestsOf({ name: '-', size: 0 }, optionsOf(text), new LineCounts(), new OwnTexts())
  for await (const some of log) requests += some.length
  if (requests !== LINES) throw new Error(`read ${requests} of ${LINES} lines`)
}

/** Lines or requests in a second of the processor. */
async function perSecond(work: () => Promise<unknown>): Promise<number> {
  const since = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(since)
  return (LINES / (user + system)) * 1e6
}

for (const [name, text, others] of FORMATS) {
  const contestants = new Map<string, Parse>([
    ['onrush', parse],
    ['onrush with times and keys', read],
    ...Object.entries(others),
  ])
  const best = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [who, work] of contestants) {
      best.set(who, Math.max(best.get(who) ?? 0, await perSecond(() => work(text))))
    }
  }
  const figures = Array.from(best, ([who, speed]) => `${who} ${million(speed)}`)
  console.log(`${name}, million lines a second: ${figures.join(', ')}`)
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
