/** Compiles against the declarations with each TypeScript from 5.2, with each module resolution, without `skipLibCheck`. */
import { entries } from '../package/manifest.ts'
import { expectEqual, Project } from './project.ts'

const COMPILERS = ['5.2', '5.5', '5.9', '6', '7']

const RESOLUTIONS = [
  ['--module', 'commonjs', '--moduleResolution', 'node10'],
  ['--module', 'commonjs'],
  ['--module', 'node16', '--moduleResolution', 'node16'],
  ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
  ['--module', 'esnext', '--moduleResolution', 'bundler'],
]

const PROGRAM = [...entries.keys()]
  .map((name, index) => `import * as entry${index} from '${name}'\nexport { entry${index} }\n`)
  .join('')

const USE = `
import { GcraLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fastify'
const store = new RedisStore({ url: 'redis://localhost' })
export const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(2) })
export const plugin = rateLimit({ throttle, key: ({ ip }) => ip })
// @ts-expect-error: a key is a text
export const wrong = rateLimit({ throttle, key: () => 1 })
`

export async function types(tarball: string): Promise<void> {
  const text = `${PROGRAM}${USE}`
  using project = new Project({ 'program.ts': text, 'program.mts': text, 'program.cts': text })
  const compilers = COMPILERS.map((version) => `typescript${version}@npm:typescript@${version}`)
  const frameworks = ['express@5', '@types/express@5', 'fastify@5', 'hono@4', 'koa@3', '@types/koa@3', 'ioredis@6']
  const plugged = ['express-rate-limit@8', '@fastify/rate-limit@11', '@opentelemetry/api@1']
  const nest = ['@nestjs/throttler@6', '@nestjs/common@11', '@nestjs/core@11', 'reflect-metadata', 'rxjs']
  await project.install(tarball, '@types/node@20', ...frameworks, ...plugged, ...nest, ...compilers)
  const failures: string[] = []
  for (const version of COMPILERS) {
    for (const resolution of RESOLUTIONS) {
      // TypeScript 7 has removed node10.
      if (version === '7' && resolution.includes('node10')) continue
      const said = await compiled(project, version, resolution)
      if (said !== '') failures.push(`TypeScript ${version} ${resolution.join(' ')}:\n${said}`)
    }
  }
  expectEqual(failures.join('\n'), '')
}

/** The compiler's errors about onrush. Errors in other packages' declarations are ignored. */
async function compiled(project: Project, version: string, resolution: readonly string[]): Promise<string> {
  const settings = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--types', 'node']
  if (version === '6') settings.push('--ignoreDeprecations', '6.0')
  const both = resolution.some((option) => option.startsWith('node') && option !== 'node10')
  const programs = both ? ['program.ts', 'program.mts', 'program.cts'] : ['program.ts']
  const compiler = `node_modules/typescript${version}/bin/tsc`
  const said = await project
    .run(compiler, [...settings, '--pretty', 'false', ...resolution, ...programs])
    .catch(({ message }: Error) => message)
  return said
    .split('\n')
    .filter((line) => line.includes(': error ') && /^program|^node_modules\/onrush|^error/.test(line))
    .join('\n')
}
