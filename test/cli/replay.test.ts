/** `onrush replay`: what it reads, what it counts, what it refuses. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { programFor } from '../../src/cli/program.ts'
import { onrush, SILENT } from '../support/cli/command-line.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onrush-replay-test-'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** Three requests of one address in one second, and one of another a minute later. */
const REQUESTS = [
  { ip: '192.0.2.1', time: '2026-03-29T00:59:59Z', user: 'ada', path: '/users/7/posts', status: 200, cost: 2 },
  { ip: '192.0.2.1', time: '2026-03-29T00:59:59Z', user: 'ada', path: '/users/7', status: 404, cost: 3 },
  { ip: '192.0.2.1', time: '2026-03-29T00:59:59Z', user: 'bob', path: '/users/8', status: 200, cost: 1 },
  { ip: '2001:db8::9', time: '2026-03-29T01:00:59Z', user: 'bob', path: '/', status: 500, cost: 0 },
]

function access({ ip, time, user, path, status }: (typeof REQUESTS)[number]): string {
  const clock = time.slice(11, 19)
  return `${ip} - ${user} [29/Mar/2026:${clock} +0000] "GET ${path}?q=1 HTTP/1.1" ${status} 512 "-" "say \\"hi\\""`
}

const FORMATS: readonly [name: string, lines: readonly string[]][] = [
  ['the Combined format', REQUESTS.map(access)],
  ['the Common format', REQUESTS.map((request) => access(request).replace(/ "-" ".*$/, ''))],
  ['JSON lines', REQUESTS.map((request) => JSON.stringify(request))],
  [
    'logfmt',
    REQUESTS.map(({ ip, time, user, path, status, cost }) => {
      return `level=info time=${time} ip=${ip} user="${user}" path=${path} status=${status} cost=${cost}`
    }),
  ],
  [
    'CSV',
    [
      'time,ip,user,path,status,cost',
      ...REQUESTS.map((one) => `${one.time},${one.ip},"${one.user}",${one.path},${one.status},${one.cost}`),
    ],
  ],
]

async function json(args: readonly string[], input: string | Buffer): Promise<Record<string, unknown>> {
  const { code, out, error } = await onrush(['replay', '-', '--json', ...args], input)
  expect({ code, error }).toEqual({ code: 0, error: '' })
  return JSON.parse(out)
}

test.each(FORMATS)('%s is read: times, keys, and what each rate refuses', async (_name, lines) => {
  const text = `${lines.join('\n')}\n`
  expect(await json(['--rate', '1/second', '--rate', '3/second'], text)).toMatchObject({
    requests: 4,
    keys: 2,
    from: '2026-03-29T00:59:59.000Z',
    to: '2026-03-29T01:00:59.000Z',
    busiestSecond: { at: '2026-03-29T00:59:59.000Z', requests: 3 },
    candidates: [
      { candidate: '1/second by gcra', refused: 2, keysRefused: 1, hardestHit: [{ key: '192.0.2.1', refused: 2 }] },
      { candidate: '3/second by gcra', refused: 0, keysRefused: 0 },
    ],
  })
  expect(await json(['--rate', '1/second', '--key', 'user'], text)).toMatchObject({ candidates: [{ refused: 1 }] })
  expect(await json(['--rate', '1/second'], gzipSync(text))).toMatchObject({ candidates: [{ refused: 2 }] })
  expect(await json(['--rate', '1/second'], text.replaceAll('\n', '\r\n'))).toMatchObject({ requests: 4 })
})

const JSON_LINES = `${REQUESTS.map((request) => JSON.stringify(request)).join('\n')}\n`
const ACCESS = `${REQUESTS.map(access).join('\n')}\n`

test.each<[why: string, args: string[], report: object]>([
  ['joins fields to a key', ['--key', 'ip+user'], { keys: 3 }],
  ['takes the names of a pattern of paths as the key', ['--key', 'path:/users/:id{/*rest}'], { requests: 3, keys: 3 }],
  ['tells lines that have no such key', ['--key', 'path:/users/:id'], { requests: 2, lines: { withoutKey: 2 } }],
  ['plays only lines for which a condition holds', ['--where', 'status>=400'], { requests: 2, lines: { excluded: 2 } }],
  ['takes conditions together', ['--where', 'status!=404', '--where', 'path~^/users/'], { requests: 2 }],
])('a replay %s', async (_why, args, report) => {
  for (const log of [JSON_LINES, ACCESS]) expect(await json(['--rate', '1/s', ...args], log)).toMatchObject(report)
})

test('costs come from a field, and a line of cost 0 is not played', async () => {
  expect(await json(['--rate', '5/s', '--cost', 'cost'], JSON_LINES)).toMatchObject({
    requests: 3,
    units: 6,
    lines: { free: 1 },
    candidates: [{ refused: 1, unitsRefused: 1 }],
  })
})

test('a header is a field, of an access log and of logged headers', async () => {
  expect(await json(['--rate', '1/s', '--key', 'header:user-agent'], ACCESS)).toMatchObject({ keys: 1 })
  const log = ['{"ts":1,"headers":{"X-Api-Key":"a"}}', '{"ts":1,"request":{"headers":{"x-api-key":"b"}}}'].join('\n')
  expect(await json(['--rate', '1/s', '--key', 'header:x-api-key'], log)).toMatchObject({ keys: 2 })
})

test('lines that cannot be read are counted and shown, never guessed', async () => {
  const log = `${ACCESS}garbage \u001b[31m\n192.0.2.1 - - [99/Foo/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1\n`
  const { out } = await onrush(['replay', '-', '--rate', '1/s'], log)
  expect(out).toContain('2 lines that cannot be read')
  expect(out).toContain('-:5: garbage \\u{1b}[31m')
  expect(await json(['--rate', '1/s'], log)).toMatchObject({ requests: 4, lines: { unreadable: 2 } })
})

test('times without a zone are of --time-zone, and each other form of a time is read', async () => {
  const times = [
    '"2026-03-29 04:00:00"',
    '1774749600',
    '1774749600000',
    '"1774749600.000"',
    '"2026-03-29T02:00:00.000Z"',
  ]
  const log = times.map((time) => `{"time":${time},"ip":"x"}`).join('\n')
  expect(await json(['--rate', '1/s', '--time-zone', 'Europe/Berlin'], log)).toMatchObject({
    requests: 5,
    from: '2026-03-29T02:00:00.000Z',
    to: '2026-03-29T02:00:00.000Z',
  })
})

test('several logs are merged by time, whatever their order and format', async () => {
  const [first, second, third, fourth] = REQUESTS.map(access)
  const old = join(folder, 'access.log.1.gz')
  const now = join(folder, 'access.log')
  const other = join(folder, 'other.json')
  await writeFile(old, gzipSync(`${first}\n${second}\n`))
  await writeFile(now, `${fourth}\n`)
  await writeFile(other, JSON.stringify(REQUESTS[2]))
  expect(third).toBeDefined()
  const { out } = await onrush(['replay', now, old, other, '--json', '--rate', '1/s'])
  expect(JSON.parse(out)).toMatchObject({ requests: 4, reordered: 0, late: 0, candidates: [{ refused: 2 }] })
})

test('layers together refuse what any refuses, and each is told', async () => {
  const report = await json(['--rate', '2/s', '--rate', '3/hour', '--together'], JSON_LINES)
  expect(report.candidates).toMatchObject([
    { refused: 1 },
    { refused: 0 },
    { candidate: 'all together by gcra', refused: 1, layers: [{ quota: '2/1s', refused: 1 }, { refused: 0 }] },
  ])
})

test.each([
  ['0%', '3/1m'],
  ['60%', '1/1m'],
])('the smallest limit that touches fewer than %s of keys is %s', async (touching, quota) => {
  const report = await json(['--smallest', 'minute', '--algorithm', 'fixed-window', '--touching', touching], JSON_LINES)
  expect(report.smallest).toMatchObject([{ period: 'minute', algorithm: 'fixed-window', quota }])
})

test('the report of HTML is one file with plots inline, and escapes what a log holds', async () => {
  const path = join(folder, 'report.html')
  const log = JSON_LINES.replaceAll('192.0.2.1', '<script>alert(1)</script>')
  const { code } = await onrush(['replay', '-', '--rate', '1/s', '--smallest', 'second', '--html', path], log)
  const html = await readFile(path, 'utf8')
  expect(code).toBe(0)
  expect(html.match(/<svg/g)).toHaveLength(2)
  expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/)
  expect(html).toContain('&lt;script&gt;')
})

test.each<[what: string, args: string[], input: string, error: RegExp]>([
  [
    'a file that does not exist',
    ['replay', '/nowhere/access.log', '--rate', '1/s'],
    '',
    /cannot read .*nowhere.*ENOENT/,
  ],
  ['a file that is no log', ['replay', '-', '--rate', '1/s'], 'PNG\u0000\u0001', /- is no log that can be read/],
  ['an empty log', ['replay', '-', '--rate', '1/s'], '', /hold no request to play: 0 lines read/],
  [
    'a rate that cannot be read',
    ['replay', '-', '--rate', '5/fortnight'],
    ACCESS,
    /--rate "5\/fortnight": quota must be/,
  ],
  ['an unknown algorithm', ['replay', '-', '--rate', '1/s', '--algorithm', 'gcar'], ACCESS, /did you mean gcra\?/],
  ['neither a rate nor a period', ['replay', '-'], ACCESS, /at least one --rate to try, or --smallest/],
  [
    'an unknown field',
    ['replay', '-', '--rate', '1/s', '--key', 'ipp'],
    ACCESS,
    /has no field "ipp": did you mean ip\?/,
  ],
  ['an unknown zone', ['replay', '-', '--rate', '1/s', '--time-zone', 'Mars'], ACCESS, /--time-zone .* got 'Mars'/],
  [
    'a condition that is none',
    ['replay', '-', '--rate', '1/s', '--where', 'status'],
    ACCESS,
    /--where must be a condition/,
  ],
  ['a share that is none', ['replay', '-', '--smallest', 'day', '--touching', '200%'], ACCESS, /--touching must be/],
  [
    'an unknown option',
    ['replay', '-', '--ratee', '1/s'],
    ACCESS,
    /unknown option '--ratee'\s+\(Did you mean --rate\?\)/,
  ],
  ['an unknown command', ['relpay'], '', /unknown command 'relpay'\s+\(Did you mean replay\?\)/],
  ['no file', ['replay'], '', /missing required argument 'files'/],
  [
    'a damaged gzip',
    ['replay', '-', '--rate', '1/s'],
    '\u001f\u008bx',
    /is no log that can be read|cannot read standard/,
  ],
])('%s ends with code 2 and a clear line, without a stack', async (_what, args, input, error) => {
  const ran = await onrush(args, input)
  expect(ran.error).toMatch(error)
  expect(ran.error).not.toMatch(/^\s+at /m)
  expect({ code: ran.code, out: ran.out }).toEqual({ code: 2, out: '' })
})

test.each(programFor(SILENT, () => {}).commands.map((command) => [command.name(), command] as const))(
  'the help of %s tells what it does, each argument and each option with its default',
  async (name, command) => {
    const { code, out } = await onrush([name, '--help'])
    expect(code).toBe(0)
    const text = out.replace(/\s+/g, ' ')
    expect(text).toContain(command.description())
    for (const { description } of command.registeredArguments) expect(text).toContain(description)
    for (const { flags, description, defaultValue } of command.options) {
      expect(text).toContain(`${flags} ${description}`)
      if (defaultValue !== undefined) expect(text).toMatch(/default: /)
    }
    expect(text).not.toMatch(/undefined|\[\]|\[object/)
  },
)
