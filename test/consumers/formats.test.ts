/** The package in Node, by `import` and by `require`, with as few packages beside it as possible. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { entries } from '../../scripts/package/manifest.ts'
import { BuiltPackage } from '../support/built-package.ts'
import { Consumer } from '../support/consumers/consumer.ts'

/** Entries that make classes of a framework cannot be loaded without the framework. */
const NEST = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs']

let built: BuiltPackage
let consumer: Consumer

beforeAll(async () => {
  built = await BuiltPackage.create()
  consumer = new Consumer(built, ['@opentelemetry/api', ...NEST])
})

afterAll(() => {
  consumer?.[Symbol.dispose]()
  built?.[Symbol.dispose]()
})

/** Runs a program, and returns what it prints. */
async function printed(name: string, code: string): Promise<string> {
  consumer.write(name, code)
  const { code: ending, stdout, stderr } = await consumer.run(name)
  expect(stderr).toBe('')
  expect(ending).toBe(0)
  return stdout.trim()
}

const names = [...entries.keys()]

describe('without ioredis, and with no framework but Nest', () => {
  test('each entry is loaded by require', async () => {
    const program = `for (const name of ${JSON.stringify(names)}) console.log(name, Object.keys(require(name)).length > 0)`
    expect(await printed('require.cjs', program)).toBe(names.map((name) => `${name} true`).join('\n'))
  })

  test('each entry is loaded by import, under the same names, and is the same', async () => {
    const program = `
      import { createRequire } from 'node:module'
      const require = createRequire(import.meta.url)
      for (const name of ${JSON.stringify(names)}) {
        const [imported, required] = [await import(name), require(name)]
        const same = Object.keys(required).filter((key) => imported[key] === required[key])
        console.log(name, same.length > 0 && same.length === Object.keys(imported).length)
      }`
    expect(await printed('import.mjs', program)).toBe(names.map((name) => `${name} true`).join('\n'))
  })

  test('an error of an entry that was required is an instance of the class that was imported', async () => {
    const program = `
      import { createRequire } from 'node:module'
      import { OnrushError, Throttle, DictionaryStore, GcraLimiter, Quota } from 'onrush'
      const { rateLimit } = createRequire(import.meta.url)('onrush/express')
      const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(1) })
      console.log(typeof rateLimit({ throttle, key: () => 'one' }))
      try {
        createRequire(import.meta.url)('onrush').storeFromUrl('nothing://')
      } catch (error) {
        console.log(error instanceof OnrushError)
      }`
    expect(await printed('instance.mjs', program)).toBe('function\ntrue')
  })

  test('a store that makes its own client says that ioredis is missing, at once', async () => {
    const program = `
      const { RedisStore, PeerDependencyError } = require('onrush')
      try {
        new RedisStore({ url: 'redis://localhost' })
      } catch (error) {
        console.log(error instanceof PeerDependencyError, error.code, error.message)
      }`
    expect(await printed('no-ioredis.cjs', program)).toBe(
      'true ONRUSH_PEER_DEPENDENCY RedisStore({ url }) makes a client of ioredis, and needs ioredis 5.4 or later, which is not installed: npm install ioredis, or give { client } instead',
    )
  })
})

describe('beside a version that is too old', () => {
  const OLD = [
    ['onrush/fastify', 'fastify', '4.29.1', '5.0'],
    ['onrush/hono', 'hono', '3.12.12', '4.0'],
    ['onrush/express', 'express', '3.21.2', '4.0'],
    ['onrush/koa', 'koa', '1.7.0', '2.0'],
    ['onrush/express-rate-limit', 'express-rate-limit', '6.11.2', '7.0'],
    ['onrush/fastify-rate-limit', '@fastify/rate-limit', '9.1.0', '10.0'],
    ['onrush/nestjs', '@nestjs/common', '10.4.20', '11.0'],
    ['onrush/nestjs-throttler', '@nestjs/throttler', '5.2.0', '6.0'],
    ['onrush/opentelemetry', '@opentelemetry/api', '1.8.0', '1.9'],
  ] as const

  test.concurrent.each(OLD)('%s says so when it is loaded, whichever way', async (entry, name, version, oldest) => {
    // What Nest brings along.
    using project = new Consumer(built, ['@nestjs/core', 'rxjs'])
    // As newer packages do: package.json is not to be had by its name.
    const manifest = { name, version, exports: { '.': './index.js' } }
    project.write(`node_modules/${name}/package.json`, JSON.stringify(manifest))
    project.write(`node_modules/${name}/index.js`, 'exports.metrics = {}')
    const program = `
      const said = ({ name, message }) => console.log(name, message)
      try {
        require('${entry}')
      } catch (error) {
        said(error)
      }
      import('${entry}').catch(said)`
    project.write('program.cjs', program)
    const message = `PeerDependencyError ${entry} needs ${name} ${oldest} or later, found ${version}\n`
    expect((await project.run('program.cjs')).stdout).toBe(message.repeat(2))
  })

  test('the main entry works, and a store that makes its own client says that ioredis is too old', async () => {
    consumer.write('node_modules/ioredis/package.json', JSON.stringify({ name: 'ioredis', version: '4.30.1' }))
    consumer.write('node_modules/ioredis/index.js', '')
    const program = `
      const { DictionaryStore, RedisStore } = require('onrush')
      new DictionaryStore()
      try {
        new RedisStore({ url: 'redis://localhost' })
      } catch ({ code, message }) {
        console.log(code, message)
      }`
    expect(await printed('old-ioredis.cjs', program)).toBe(
      'ONRUSH_PEER_DEPENDENCY RedisStore({ url }) makes a client of ioredis, and needs ioredis 5.4 or later, found 4.30.1',
    )
  })
})
