/** Logs that are damaged, hostile or none: what is read of them is right, and the rest is counted or refused. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import logfmt from 'logfmt'
import { expect, test, vi } from 'vitest'
import { CsvReader } from '../../src/cli/replay/csv-log.ts'
import { keyExpression } from '../../src/cli/replay/key-expression.ts'
import { type Lines, linesOf } from '../../src/cli/replay/lines.ts'
import { UnreadableLines } from '../../src/cli/replay/log-entry.ts'
import { LineCounts, OwnTexts, requestsOf } from '../../src/cli/replay/log-requests.ts'
import { LogTimes } from '../../src/cli/replay/log-time.ts'
import { readLogfmt } from '../../src/cli/replay/logfmt.ts'
import { Spool } from '../../src/cli/replay/spool.ts'
import { onrush } from '../support/cli/command-line.ts'

const HEADER = 'time,ip\n'
const LINE = '{"time":"2026-03-29T00:00:00Z","ip":"a"}\n'

function replayed(input: string | Buffer, ...args: string[]) {
  return onrush(['replay', '-', '--rate', '1/s', '--json', ...args], input)
}

async function report(input: string | Buffer, ...args: string[]) {
  const { code, out, error } = await replayed(input, ...args)
  expect({ code, error }).toEqual({ code: 0, error: '' })
  return JSON.parse(out)
}

test.each<[what: string, input: string | Buffer, error: RegExp]>([
  ['a binary file', Buffer.from('7f454c46020101000000203d00', 'hex'), /it is binary, and not text\n$/],
  ['a log in UTF-16', Buffer.from(`\ufeff${LINE}`, 'utf16le'), /it is UTF-16, which must be converted to UTF-8\n$/],
  ['a gzip that ends early', gzipSync(LINE.repeat(1000)).subarray(0, 60), /cannot read standard input: unexpected end/],
  ['a CSV without a header', '192.0.2.1,2026-03-29T00:00:00Z\n', /must begin with a header of different names/],
  ['a CSV with two columns of one name', 'time,ip,ip\n1,2,3\n', /must begin with a header of different names/],
])('%s is refused with a clear line', async (_what, input, error) => {
  expect(await replayed(input)).toMatchObject({ code: 2, out: '', error: expect.stringMatching(error) })
})

test('standard input can be named only once', async () => {
  const { code, error } = await onrush(['replay', '-', '-', '--rate', '1/s'], LINE)
  expect({ code, error }).toMatchObject({ code: 2, error: expect.stringContaining('can be read only once') })
})

test('what a log holds never reaches the terminal as control characters, not even in errors', async () => {
  const evil = '\u001b[31m\u009b2J\u202e'
  const names = Array.from({ length: 1000 }, (_, index) => `"${evil}${index}":1`).join(',')
  const logs = [`{${names}}\n`, `evil${evil}\n`, `{"time":"2026-03-29T00:00:00Z","ip":"${evil}"}\n`.repeat(3)]
  for (const log of logs) {
    for (const json of [[], ['--json']]) {
      const { out, error } = await onrush(
        ['replay', '-', '--rate', '1/s', ...json],
        log.replaceAll('\u001b', '\\u001b'),
      )
      expect(`${out}${error}`).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
      expect(error.length).toBeLessThan(3000)
    }
  }
})

test.each(['', '\n\n'.repeat(100)])(
  'a byte order mark and blank lines before a log are no part of it',
  async (blank) => {
    expect(await report(`\ufeff${blank}${LINE}`)).toMatchObject({ requests: 1, lines: { unreadable: 0 } })
    expect(await report(`\ufeff${blank}${HEADER}1774742400,a\n`)).toMatchObject({ requests: 1 })
  },
)

test('a log may come in pieces of any size', async () => {
  const log = Buffer.from(`\ufeff${LINE}{"time":"2026-03-29T00:00:00Z","ip":"ä€😀"}\r\n${LINE}x`)
  for (const size of [1, 2, 3, 7]) {
    const pieces = Array.from({ length: Math.ceil(log.length / size) }, (_, at) =>
      log.subarray(at * size, (at + 1) * size),
    )
    const lines: Lines[] = []
    for await (const some of linesOf(Readable.from(pieces))) lines.push(some)
    expect(lines.flatMap(({ lines }) => lines).join('\n')).toBe(log.toString())
  }
})

test('a line that is too long for a log is counted as one, and its end is not taken for another', async () => {
  const long = `level=info text=${'x'.repeat(3 * 2 ** 20)} time=2026-03-29T00:00:00Z ip=evil`
  const log = `time=2026-03-29T00:00:00Z ip=a\n${long}\ntime=2026-03-29T00:00:00Z ip=b\n`
  expect(await report(log)).toMatchObject({ requests: 2, keys: 2, lines: { lines: 2, unreadable: 1 } })
})

test.each([
  '2026-02-30T00:00:00Z',
  '2026-02-30 00:00:00',
  '3000-01-01T00:00:00Z',
  '1e99',
  '-1',
  '31/Feb/2026:00:00:00 +0000',
  '01/Feb/2026:25:00:00 +0000',
  '0000-00-00T00:00:00Z',
])('%s is no time, and its line is counted', async (time) => {
  expect(await report(`${LINE}{"time":"${time}","ip":"b"}\n`)).toMatchObject({ requests: 1, lines: { unreadable: 1 } })
})

test('times within one second are read as each alone', () => {
  const known = new LogTimes('UTC')
  const zone = fc.constantFrom('Z', '+02:00', '-0530', ' Z')
  const clock = fc.constantFrom('2026-03-29T00:59:59', '2026-03-29T01:59:59', '2026-03-29 00:59:59', '2026-03-29T00:59')
  const fraction = fc
    .constantFrom('', '.', ',5')
    .chain((text) => (text === '.' ? fc.stringMatching(/^\.\d{1,9}$/) : fc.constant(text)))
  fc.assert(
    fc.property(fc.tuple(clock, fraction, zone), (parts) => {
      const text = parts.join('')
      expect(known.read(text)).toBe(new LogTimes('UTC').read(text))
      const usual = Date.parse(text.replace(' ', 'T').replace(',', '.').replace(' ', ''))
      if (!Number.isNaN(usual)) expect(known.read(text)).toBe(usual)
    }),
  )
})

test('a quote that is never closed makes one line of a CSV unreadable', async () => {
  const open = `${HEADER}1774742400,a\n1774742400,"open\n${'1774742400,b\n'.repeat(3000)}1774742400,"c, ""d""\n e"\n`
  expect(await report(open)).toMatchObject({ requests: 3002, keys: 3, lines: { unreadable: 1 } })
})

test('records of CSV are read back as they were written, whatever they hold', () => {
  const cell = fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', ' x', 'é'), minLength: 1 })
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), (records) => {
      const quoted = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
      const lines = ['first,second', ...records.map((record) => record.map(quoted).join(','))].join('\n').split('\n')
      const unreadable = new UnreadableLines()
      const reader = new CsvReader('log', unreadable)
      const read: (string | undefined)[][] = []
      for (const line of lines) reader.read(line, (entry) => read.push([entry.field('first'), entry.field('second')]))
      expect(unreadable.count).toBe(0)
      expect(read).toEqual(records.map((record) => record.map((value) => value.trim() || undefined)))
    }),
  )
})

test('fields of logfmt are those that its parser on npm reads, where that reads them right', () => {
  const name = fc.constantFrom('time', 'ip', 'me', 'ip.x', 'x')
  const plain = fc.string({ unit: fc.constantFrom('a', 'p', 'i', '.', '1', "'"), minLength: 1 })
  const quoted = fc
    .string({ unit: fc.constantFrom('a', ' ', '=', 'ip=', 'x', '\\"', '\\\\') })
    .map((text) => `"${text}"`)
  const pair = fc.tuple(name, fc.oneof(plain, quoted)).map(([key, value]) => `${key}=${value}`)
  const flag = fc.constant('ip')
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.oneof(pair, flag), { minLength: 1, selector: (text) => text.split('=')[0] }),
      (pairs) => {
        const line = `level=info ${pairs.join(' ')}`
        for (const [key, value] of Object.entries(logfmt.parse(line))) {
          expect(readLogfmt(line)?.field(key) ?? '').toBe(String(value))
        }
      },
    ),
  )
  expect(readLogfmt('path=/x?a=1\tip=b msg="a\\nb" end')?.field('path')).toBe('/x?a=1')
  expect(readLogfmt('path=/x?a=1\tip=b msg="a\\nb" end')?.field('ip')).toBe('b')
  expect(readLogfmt('path=/x?a=1\tip=b msg="a\\nb" end')?.field('msg')).toBe('a\nb')
  expect(readLogfmt('path=/x?a=1\tip=b msg="a\\nb" end')?.names()).toEqual(['path', 'ip', 'msg', 'end'])
})

test('requests that are kept to be read again leave no file behind, however the replay ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onrush-spool-test-'))
  vi.stubEnv('TMPDIR', folder)
  try {
    await using spool = await Spool.open()
    const requests = [{ key: 'a', time: 1, quantity: 2 }]
    async function* source() {
      yield requests
    }
    for await (const kept of spool.keep(source())) expect(kept).toBe(requests)
    for (let turn = 0; turn < 2; turn++) {
      for await (const read of spool.read()) expect(read).toEqual(requests)
    }
    expect(await readdir(folder)).toEqual([])
  } finally {
    vi.unstubAllEnvs()
    await rm(folder, { recursive: true })
  }
})

test('keys keep nothing else of a log in memory', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const megabytes = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed / 2 ** 20
  }
  function* log() {
    for (let chunk = 0; chunk < 64; chunk++) {
      const line = `192.0.2.1 - client-${chunk}-of-many [29/Mar/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n`
      yield Buffer.from(line.repeat(2000))
    }
  }
  const options = {
    key: keyExpression('user'),
    cost: undefined,
    where: [],
    time: undefined,
    timeZone: 'UTC',
    format: undefined,
    stdin: Readable.from(log()),
    unreadable: new UnreadableLines(),
    progress: () => {},
  }
  const before = megabytes()
  const keys = new Set<string>()
  for await (const some of requestsOf({ name: '-', size: 0 }, options, new LineCounts(), new OwnTexts())) {
    for (const { key } of some) keys.add(key)
  }
  expect(keys.size).toBe(64)
  // The log has 11 MB.
  expect(megabytes() - before).toBeLessThan(4)
})
