/** Installs onrush beside unsupported major versions of its peers: the installation must succeed, and the entries in use must work. */
import { expectEqual, Project } from './project.ts'

const OLD = [
  ...['redis@4', 'fastify@4', 'hono@3', 'express-rate-limit@6', '@fastify/rate-limit@9', 'express@4', 'koa@2'],
  ...['@nestjs/throttler@5', '@nestjs/common@10', '@nestjs/core@10', 'reflect-metadata@0.1', 'rxjs@7'],
]

const PROGRAM = `
const { DictionaryStore, GcraLimiter, Quota, RedisStore, Throttle } = require('onrush')
require('onrush/express')
require('onrush/koa')
const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
const said = [() => new RedisStore({ url: 'redis://localhost' })]
for (const name of ['fastify', 'hono', 'express-rate-limit', 'fastify-rate-limit', 'nestjs-throttler', 'nestjs']) said.push(() => require('onrush/' + name))
for (const load of said) {
  try {
    load()
    console.log('loaded')
  } catch ({ code, dependency }) {
    console.log(code, dependency)
  }
}
throttle.check('key').then(({ remaining }) => console.log(remaining))
`

const SAID = [
  'ioredis',
  'fastify',
  'hono',
  'express-rate-limit',
  '@fastify/rate-limit',
  '@nestjs/throttler',
  '@nestjs/common',
]
  .map((name) => `ONRUSH_PEER_DEPENDENCY ${name}\n`)
  .join('')

export async function neighbours(tarball: string): Promise<void> {
  for (const ioredis of [[], ['ioredis@4']]) {
    using project = new Project({ 'program.cjs': PROGRAM })
    await project.install(tarball, ...OLD, ...ioredis)
    expectEqual(await project.run('program.cjs'), `${SAID}1\n`)
  }
}
