/** The declarations compile without `skipLibCheck` and without the optional packages. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

const PROGRAM = `
import { BaseStore, DictionaryStore, GcraLimiter, LimitData, OnrushError, Quota, RedisStore, Throttle } from 'onrush'
import { rateLimit } from 'onrush/express'
import { rateLimit as limitFetch } from 'onrush/fetch'
import { rateLimitHeaders } from 'onrush/http'
import { storeContract } from 'onrush/testing'

class OwnStore extends BaseStore {
  #records = new Map<string, LimitData>()
  get(key: string): LimitData | undefined { return this.#records.get(key) }
  set(key: string, data: LimitData): LimitData { this.#records.set(key, data); return data }
}

const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(100) })
export const left: Promise<number> = throttle.check('key').then(({ remaining }) => remaining)
// @ts-expect-error: it is a number
export const wrong: Promise<string> = throttle.check('key').then(({ remaining }) => remaining)
// @ts-expect-error: nothing else is a Quota, whatever its fields
export const quota: Quota = { ...Quota.perMinute(1) }
export const redis = (url: string): RedisStore => new RedisStore({ url })
export { limitFetch, OnrushError, OwnStore, rateLimit, rateLimitHeaders, storeContract }
`

/** The other pairs of compiler and resolution are tried by `npm run test:consumers`. */
const CASES = [
  ['typescript5.2', ['--module', 'commonjs', '--target', 'es2015'], ['program.ts']],
  ['typescript5.9', ['--module', 'nodenext'], ['program.mts', 'program.cts']],
  ['typescript', ['--module', 'nodenext'], ['program.mts', 'program.cts']],
  ['typescript', ['--module', 'esnext', '--moduleResolution', 'bundler'], ['program.ts']],
] as const

let built: BuiltPackage

beforeAll(async () => {
  built = await BuiltPackage.create()
})

afterAll(() => built?.[Symbol.dispose]())

test.each(CASES)('%s %j finds the types', async (compiler, options, programs) => {
  using consumer = new Consumer(built, ['@types/node', compiler])
  consumer.write('package.json', '{}')
  for (const program of programs) consumer.write(program, PROGRAM)
  const settings = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--types', 'node', '--pretty', 'false']
  const { stdout } = await consumer.run(`node_modules/${compiler}/bin/tsc`, ...settings, ...options, ...programs)
  expect(stdout).toBe('')
})

test('TypeScript 5.9 with nothing but "module": "commonjs", so with target ES5, finds the types', async () => {
  using consumer = new Consumer(built, ['@types/node', 'typescript5.9'])
  consumer.write('package.json', '{}')
  consumer.write('program.ts', PROGRAM.replace(/^class [^}]*\}[^}]*\}\n\}$/m, 'class OwnStore {}'))
  consumer.write('tsconfig.json', JSON.stringify({ compilerOptions: { module: 'commonjs', noEmit: true } }))
  const { stdout } = await consumer.run('node_modules/typescript5.9/bin/tsc')
  expect(stdout).toBe('')
})
