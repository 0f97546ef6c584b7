/** Bundlers: what they make of the package runs, holds no more than was used, and is as small as docs/installing.md says. */
import { copyFileSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build as esbuild } from 'esbuild'
import { build as vite } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import webpack from 'webpack'
import { ROOT } from '../../scripts/package/manifest.ts'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

const IN_PROCESS = `
import { DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'
const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
throttle.check('key').then(({ remaining }) => console.log(remaining))
`
const IN_CALENDAR = `
import { DictionaryStore, FixedWindowLimiter, Quota, Throttle } from 'onrush'
const rate = Quota.perMonth(10, { timeZone: 'Asia/Tokyo' })
const throttle = new Throttle({ limiter: new FixedWindowLimiter({ store: new DictionaryStore() }), rate })
throttle.check('key').then(({ remaining }) => console.log(remaining, rate.stateName.slice(3)))
`
const IN_REDIS = `
import { RedisStore } from 'onrush'
try {
  const store = new RedisStore({ url: 'redis://127.0.0.1:1', options: { lazyConnect: true } })
  store.close().then(() => console.log('made and closed'))
} catch ({ code }) {
  console.log(code)
}
`

let built: BuiltPackage
let consumer: Consumer

beforeAll(async () => {
  built = await BuiltPackage.create()
  consumer = new Consumer(built)
  consumer.write('package.json', '{}')
  consumer.write('in-process.mjs', IN_PROCESS)
  consumer.write('in-redis.mjs', IN_REDIS)
})

afterAll(() => {
  consumer?.[Symbol.dispose]()
  built?.[Symbol.dispose]()
})

/** Each returns the path of the bundle. */
const BUNDLERS = {
  async 'esbuild to CommonJS'(program: string, output: string): Promise<string> {
    const outfile = join(output, 'bundle.cjs')
    await esbuild({ entryPoints: [program], bundle: true, platform: 'node', minify: true, outfile, logLevel: 'error' })
    return outfile
  },
  async 'esbuild to ESM'(program: string, output: string): Promise<string> {
    const outfile = join(output, 'bundle.mjs')
    const format = { format: 'esm', platform: 'node', logLevel: 'error' } as const
    await esbuild({ entryPoints: [program], bundle: true, minify: true, outfile, ...format })
    return outfile
  },
  async webpack(program: string, output: string): Promise<string> {
    const filename = 'bundle.cjs'
    const compiler = webpack({
      entry: program,
      target: 'node',
      mode: 'production',
      // The slowest step by far, and none of ours.
      optimization: { minimize: false },
      output: { path: output, filename },
    })
    if (compiler === null) throw new Error('webpack made no compiler')
    await new Promise<void>((resolve, reject) => {
      compiler.run((error, stats) => {
        if (error !== null || stats?.hasErrors()) reject(error ?? new Error(stats?.toString('errors-only')))
        else resolve()
      })
    })
    return join(output, filename)
  },
  async Vite(program: string, output: string): Promise<string> {
    const build = {
      ssr: program,
      outDir: output,
      minify: true,
      rolldownOptions: { output: { entryFileNames: '[name].mjs' } },
    }
    await vite({ configFile: false, root: consumer.directory, logLevel: 'error', ssr: { noExternal: true }, build })
    return join(output, program.replace(/^.*\//, ''))
  },
}

describe.each(Object.entries(BUNDLERS))('%s', (name, bundle) => {
  test('bundles stores of the process, and leaves Redis out', async () => {
    const path = await bundle(join(consumer.directory, 'in-process.mjs'), join(consumer.directory, 'out', name, '1'))
    expect(await consumer.run(path)).toMatchObject({ code: 0, stdout: '1\n', stderr: '' })
    expect(readFileSync(path, 'utf8')).not.toMatch(/EVALSHA|redis\.call/)
  })

  test('bundles a RedisStore where ioredis is not installed, and finds it where it is', async () => {
    const path = await bundle(join(consumer.directory, 'in-redis.mjs'), join(consumer.directory, 'out', name, '2'))
    expect(await consumer.run(path)).toMatchObject({ code: 0, stdout: 'ONRUSH_PEER_DEPENDENCY\n', stderr: '' })
  })
})

test('esbuild, webpack and Vite put ioredis into the bundle where it is installed', async () => {
  using other = new Consumer(built, ['ioredis'])
  other.write('package.json', '{}')
  other.write('in-redis.mjs', IN_REDIS)
  for (const name of ['esbuild to CommonJS', 'webpack', 'Vite'] as const) {
    const path = await BUNDLERS[name](join(other.directory, 'in-redis.mjs'), join(other.directory, 'out', name))
    // Run in a folder where no package is installed.
    const alone = join(consumer.directory, `${name.replaceAll(' ', '-')}${path.slice(-4)}`)
    copyFileSync(path, alone)
    expect(await consumer.run(alone), name).toMatchObject({ stdout: 'made and closed\n' })
  }
})

/** A row of the table of sizes: code, and the kB that its bundle has at most, as it is and compressed. */
const ROW = /^\| `(?<code>import [^`]*)` \| (?<minified>\d+) kB \| (?<compressed>\d+) kB \|$/gm

/** @param minified kB that the page says, and as it is `compressed` */
function expectSize(contents: Uint8Array = new Uint8Array(), minified = '', compressed = ''): void {
  for (const [bytes, most] of [
    [contents.length, minified],
    [gzipSync(contents).length, compressed],
  ] as const) {
    expect(bytes / 1000).toBeLessThanOrEqual(Number(most))
    expect(bytes / 1000).toBeGreaterThan(Number(most) * 0.6)
  }
}

test('temporal-polyfill is as large as docs/installing.md says', async () => {
  const page = readFileSync(join(ROOT, 'docs/installing.md'), 'utf8')
  const [, minified, compressed] = /temporal-polyfill adds (\d+) kB \((\d+) kB compressed\)/.exec(page) ?? []
  const { outputFiles } = await esbuild({
    stdin: { contents: "module.exports = require('temporal-polyfill')", resolveDir: ROOT },
    ...{ bundle: true, minify: true, write: false, platform: 'node', format: 'cjs' },
  })
  expectSize(outputFiles[0]?.contents, minified, compressed)
})

test('Node loads temporal-polyfill when the first calendar quota is made, and not before', async () => {
  consumer.write(
    'plain.cjs',
    `const { DictionaryStore, Quota, Throttle } = require('onrush')
    const loaded = () => Object.keys(require.cache).filter((path) => path.endsWith('temporal-polyfill.js')).length
    new Throttle({ store: new DictionaryStore(), rate: '1000 per 30 days' }).checkSync('key')
    console.log(loaded(), Quota.perMonth(5).name, loaded())`,
  )
  const run = await consumer.run(join(consumer.directory, 'plain.cjs'))
  const natively = 'Temporal' in globalThis
  expect(run).toMatchObject({ code: 0, stdout: `0 5-1month@UTC ${natively ? 0 : 1}\n`, stderr: '' })
})

test('a bundle makes calendar quotas where nothing is installed', async () => {
  consumer.write('calendar.mjs', IN_CALENDAR)
  for (const [name, bundle] of Object.entries(BUNDLERS)) {
    const path = await bundle(join(consumer.directory, 'calendar.mjs'), join(consumer.directory, 'out', name, '3'))
    const alone = join(tmpdir(), `onrush-${process.pid}-${name.replaceAll(' ', '-')}${path.slice(-4)}`)
    copyFileSync(path, alone)
    try {
      expect(await consumer.run(alone), name).toMatchObject({ code: 0, stdout: '9 1month@Asia/Tokyo\n', stderr: '' })
    } finally {
      rmSync(alone)
    }
  }
})

describe('the table of sizes in docs/installing.md', () => {
  const rows = [...readFileSync(join(ROOT, 'docs/installing.md'), 'utf8').matchAll(ROW)].map(
    ({ groups = {} }) => groups,
  )

  test('has rows', () => {
    expect(rows.length).toBeGreaterThan(3)
  })

  test.each(rows)(
    '$code: the bundle is no larger than that, and not much smaller',
    async ({ code = '', minified, compressed }) => {
      const names = /\{(.*)\}/.exec(code)?.[1] ?? 'everything'
      const { outputFiles } = await esbuild({
        stdin: { contents: `${code}\nconsole.log(${names})`, resolveDir: consumer.directory },
        ...{ bundle: true, minify: true, write: false, platform: 'node', format: 'esm' },
        external: ['ioredis', 'temporal-polyfill'],
      })
      expectSize(outputFiles[0]?.contents, minified, compressed)
    },
  )
})
