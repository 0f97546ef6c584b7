/** Bundles for browsers and edge functions: no module of Node is imported, and what they hold runs where there is none. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

let built: BuiltPackage
let consumer: Consumer

beforeAll(async () => {
  built = await BuiltPackage.create()
  // ioredis is installed, so that a bundle which looked at it would meet the modules of Node that it imports.
  consumer = new Consumer(built, ['ioredis', 'hono'])
  consumer.write('package.json', '{}')
})

afterAll(() => {
  consumer?.[Symbol.dispose]()
  built?.[Symbol.dispose]()
})

/** @returns the bundle as a script, and what it imports from outside the bundle */
async function bundled(program: string, conditions: readonly string[]): Promise<{ code: string; outside: string[] }> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: program, resolveDir: consumer.directory },
    ...{ bundle: true, write: false, metafile: true, platform: 'browser', format: 'iife', logLevel: 'silent' },
    conditions: [...conditions],
    outfile: join(consumer.directory, 'bundle.js'),
  })
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports)
  return {
    code: outputFiles[0]?.text ?? '',
    outside: imports.filter(({ external }) => external === true).map(({ path }) => path),
  }
}

/** What all of browsers, Workers and edge functions have. */
const WEB = {
  ...{
    TextEncoder,
    TextDecoder,
    URL,
    URLSearchParams,
    AbortController,
    AbortSignal,
    performance,
    crypto,
    Request,
    Response,
    Headers,
  },
  ...{ setTimeout, clearTimeout, queueMicrotask, btoa, atob },
}

/** Runs a script where there are no modules and no globals of Node; resolves with what it tells. */
function run(code: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const global = createContext({ ...WEB, tell: resolve, fail: reject })
    runInContext(code, global)
  })
}

const EVERYTHING = `
import * as onrush from 'onrush'
import * as fetchEntry from 'onrush/fetch'
import * as honoEntry from 'onrush/hono'
import * as httpEntry from 'onrush/http'
tell([onrush, fetchEntry, honoEntry, httpEntry].map((entry) => Object.keys(entry).length > 0))
`

test.each([['browser'], ['edge-light'], ['worker', 'edge-light']])(
  'all of onrush, its fetch wrapper and its middleware for Hono are bundled with condition %s, and import nothing',
  async (...conditions) => {
    const { code, outside } = await bundled(EVERYTHING, conditions)
    expect(outside).toEqual([])
    expect(await run(code)).toEqual([true, true, true, true])
  },
)

const IN_PROCESS = `
import { DictionaryStore, FailoverStore, MovingWindowLimiter, Quota, sleep, subscribe, Throttle, TlruCacheStore } from 'onrush'
import { rateLimit } from 'onrush/fetch'
import { clientIp } from 'onrush/http'

async function main() {
  const told = []
  const end = subscribe('onrush:decision', ({ policy, result }) => told.push([policy, result.limited]))
  const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/hour name hourly' })
  const handler = rateLimit({ throttle, key: (request) => clientIp({ remoteAddress: request.headers.get('x-ip') }) })(() => new Response('ok'))
  const ask = async (ip) => (await handler(new Request('http://localhost/', { headers: { 'x-ip': ip } }))).status
  told.push(await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('192.0.2.1'), await ask('2001:db8::1'))
  end()
  const store = new FailoverStore({ primary: new TlruCacheStore({ maxSize: 9, ttl: '1h' }), fallback: 'allow' })
  const moving = new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: Quota.perHour(1) })
  told.push((await moving.check('key')).limited, (await moving.check('key')).limited)
  await sleep(1)
  told.push(await new Throttle({ store, rate: '1000/second' }).acquire('key').then(({ limited }) => limited))
  for (const wrong of [() => new Throttle({ store: { a: 1, b: 2 }, rate: '1/s' }), () => Quota.perHour('x'), () => throttle.checkSync(['a', 1n])]) {
    try {
      wrong()
    } catch ({ message }) {
      told.push(message)
    }
  }
  return told
}
main().then(tell, fail)
`

test('stores in the process, events, waits and middleware work without any module of Node', async () => {
  const { code } = await bundled(IN_PROCESS, ['edge-light'])
  expect(await run(code)).toEqual([
    ...[
      ['hourly', false],
      ['hourly', false],
      ['hourly', true],
      ['hourly', false],
    ],
    ...[200, 200, 429, 200, false, true, false],
    expect.stringContaining('got { a, b }'),
    expect.stringContaining("got 'x'"),
    expect.stringContaining("got [ 'a', 1n ]"),
  ])
})

const LONG_KEY = `key/${'ä\ud800'.repeat(200)}`
const IN_REDIS = `
import { RedisStore, Throttle } from 'onrush'
const sent = []
const client = { options: {}, status: 'ready', isCluster: false, on() {}, off() {}, once() {}, callBuffer: (...args) => { sent.push(args); return new Promise(() => {}) } }
const store = new RedisStore({ client })
new Throttle({ store, rate: '5/minute' }).check(${JSON.stringify(LONG_KEY)}).catch(() => {})
setTimeout(() => tell(sent[0]), 100)
`

test('a script and a long key have the digests that they have in Node', async () => {
  const { code, outside } = await bundled(IN_REDIS, ['edge-light'])
  expect(outside).toEqual([])
  const command = await run(code)
  if (!Array.isArray(command)) throw new Error('nothing was sent')
  const digest = createHash('sha256').update(LONG_KEY, 'utf16le').digest('base64url')
  expect(command.flat()).toContainEqual(expect.stringContaining(digest))
  expect(command.flat()).toContainEqual(expect.stringMatching(/^[0-9a-f]{40}$/))
})

test('a store that would make a client of ioredis says that there is none', async () => {
  const program = `
    import { RedisStore } from 'onrush'
    try {
      new RedisStore({ url: 'redis://localhost' })
    } catch ({ code, message }) {
      tell([code, message])
    }`
  expect(await run((await bundled(program, ['edge-light'])).code)).toEqual([
    'ONRUSH_PEER_DEPENDENCY',
    expect.stringContaining('which cannot be loaded in this runtime, or give { client } instead'),
  ])
})
