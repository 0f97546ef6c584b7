/**
 * `npm run test:runtimes -- [NAME …]`: packs the package, installs the tarball into a project beside the runtimes of test/runtimes/package.json, and runs
 * the suite of that folder in each, with a real Redis and an HTTP server before it.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { startRedis } from '../test/support/servers/redis.ts'
import { UpstashServer } from '../test/support/servers/upstash.ts'
import { Project } from './consumers/project.ts'
import { ROOT } from './package/manifest.ts'

const FOLDER = join(ROOT, 'test/runtimes')

/** The programs by which npm starts each runtime, and what they are given before the addresses. */
const RUNTIMES = {
  node: ['node', 'process.mjs'],
  bun: ['bun', 'process.mjs'],
  deno: ['deno', 'run', '--allow-net', '--allow-env', '--allow-read', '--allow-sys', 'process.mjs'],
  workerd: ['node', 'workerd.mjs', '.'],
} as const

/** What wrangler does with `nodejs_compat`, because a Worker cannot `require`: a module of Node that CommonJS requires becomes an import. */
const REQUIRED_BY_IMPORT: Plugin = {
  name: 'modules of Node',
  setup({ onLoad, onResolve }) {
    const names = builtinModules.filter((name) => !name.startsWith('_')).join('|')
    onResolve({ filter: new RegExp(`^(?:node:)?(?:${names})$`) }, ({ path, kind }) => {
      const module = path.startsWith('node:') ? path : `node:${path}`
      return kind === 'require-call' ? { path: module, namespace: 'required' } : { path: module, external: true }
    })
    onLoad({ filter: /./, namespace: 'required' }, ({ path }) => ({
      contents: `import required from '${path}'\nmodule.exports = required`,
    }))
  },
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !Object.keys(RUNTIMES).includes(name))
if (unknown.length > 0) throw new RangeError(`no runtime ${unknown}; there are ${Object.keys(RUNTIMES).join(', ')}`)

const directory = mkdtempSync(join(tmpdir(), 'onrush-runtimes-'))
try {
  await using redis = await startRedis()
  await using http = await UpstashServer.start(redis.url)
  using project = new Project(
    Object.fromEntries(readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')])),
  )
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', directory], { encoding: 'utf8' })
  const filename = /"filename": "([^"]+)"/.exec(packed)?.[1]
  if (filename === undefined) throw new Error(`npm pack said:\n${packed}`)
  await project.install(join(directory, filename))
  if (asked.length === 0 || asked.includes('workerd')) await bundleWorkers(project)
  for (const [name, [binary, ...args]] of Object.entries(RUNTIMES)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    const start = performance.now()
    const said = await project
      .runBinary(binary, [...args, redis.url, http.url, http.token])
      .catch(({ message }: Error) => `FAILED: ${message}`)
    const lines = said.split('\n').filter((line) => line !== '')
    const failed = lines.length === 0 || !lines.every((line) => line.endsWith(': ok'))
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(`${failed ? 'FAILED' : 'ok    '} ${name}: ${lines.length} cases (${seconds} s)`)
    if (!failed) continue
    console.log(said)
    process.exitCode = 1
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}

/** Bundles as wrangler does: with the conditions of Workers, and modules of Node left to `nodejs_compat` where it is set. */
async function bundleWorkers({ directory }: Project): Promise<void> {
  for (const [index, external] of [[], ['node:*', 'cloudflare:*']].entries()) {
    await build({
      entryPoints: [join(directory, 'worker.mjs')],
      outfile: join(directory, `worker-${index}.mjs`),
      conditions: index === 0 ? ['edge-light', 'worker'] : ['workerd', 'worker'],
      ...{ bundle: true, format: 'esm', platform: 'browser', logLevel: 'error' },
      external: [...external],
      plugins: index === 0 ? [] : [REQUIRED_BY_IMPORT],
    })
  }
}
