/** Loads every entry by `require` and `import`, without ioredis and with no framework but Nest, on each supported version of Node. */
import { entries } from '../package/manifest.ts'
import { expectEqual, Project } from './project.ts'

const PROGRAM = `
import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
for (const name of ${JSON.stringify([...entries.keys()])}) {
  const required = require(name)
  const imported = await import(name)
  for (const [key, value] of Object.entries(required)) if (imported[key] !== value) console.log(name, key, 'is there twice')
}
const { DictionaryStore, GcraLimiter, Quota, Throttle } = require('onrush')
const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
console.log((await throttle.check('key')).remaining)
`

/** An entry that makes classes of Nest cannot be loaded without it. */
const NEST = ['@nestjs/common@11', '@nestjs/core@11', 'reflect-metadata', 'rxjs']

const PLATFORM = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`

export async function nodes(tarball: string): Promise<void> {
  using project = new Project({ 'program.mjs': PROGRAM })
  const versions = [20, 22, 24]
  const binaries = versions.map((version) => `node${version}@npm:${PLATFORM}@${version}`)
  await project.install(tarball, '@opentelemetry/api@1.9', ...NEST, ...binaries)
  for (const version of versions) {
    const printed = await project.run('program.mjs', ['--no-warnings'], `node_modules/node${version}/bin/node`)
    expectEqual(printed, '1\n')
  }
}
