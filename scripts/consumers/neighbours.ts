/**
 * Installs onrush beside unsupported major versions of its peers: the installation must succeed, the entries in use must work, and clients of
 * these versions must be refused by name.
 */
import { expectEqual, Project } from './project.ts'

const OLD = [
  ...['redis3@npm:redis@3', 'ioredis4@npm:ioredis@4'],
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
const clients = [
  require('redis').createClient(),
  require('redis').createCluster({ rootNodes: [] }),
  require('redis3').createClient({ retry_strategy: () => undefined }).on('error', () => {}),
  new (require('ioredis4'))({ lazyConnect: true }),
]
for (const client of clients) {
  try {
    new RedisStore({ client })
    console.log('taken')
  } catch ({ name, message }) {
    console.log(name, message.replace(/.*, got /, ''))
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

const REFUSED = ['node-redis 4', 'node-redis 4', 'node-redis 3', 'ioredis 4']
  .map((client) => `TypeError a client of ${client}\n`)
  .join('')

export async function neighbours(tarball: string): Promise<void> {
  for (const ioredis of [[], ['ioredis@4']]) {
    using project = new Project({ 'program.cjs': PROGRAM })
    await project.install(tarball, ...OLD, ...ioredis)
    expectEqual(await project.run('program.cjs'), `${SAID}${REFUSED}1\n`)
  }
}
