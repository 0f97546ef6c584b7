/**
 * Builds the package:
 *
 * - `dist/esm`: modules as in `src`, for bundlers, which can then drop unused code.
 * - `dist/cjs`: the one implementation that Node runs, and all declarations. Dependencies that are ESM only are bundled.
 * - `dist/node`: modules for `import` in Node, which re-export `dist/cjs`. So a process that uses both `import` and `require` has each class
 *   only once.
 * - `dist/cli`: the command `onrush`, with all that it needs bundled, so that those who use the library alone install nothing for the command.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { bundleCommandLine } from './command-line.ts'
import { entries, peers, ROOT } from './manifest.ts'

const run = promisify(execFile)

/** Dependencies that are ESM only, which neither jest nor `require` of every supported Node can load. */
const ESM_ONLY = [{ name: 'parse-duration', license: 'License' }]

/** ESM only too, but large and needed by few, so that it gets a file of its own, which only calendar quotas load. */
const TEMPORAL = 'temporal-polyfill'

/** Modules that are CommonJS in `src`, because they `require` a package only when it is needed. */
const COMMON_JS = ['redis/clients/ioredis-module.cjs', 'calendar/temporal-module.cjs']

/** The packages whose code `dist/cjs` contains. */
const BUNDLED = [...ESM_ONLY, { name: TEMPORAL, license: 'LICENSE' }, { name: 'temporal-utils', license: 'LICENSE' }]

/** The project's own `tsc`. */
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')

/** @param dist the folder that package.json calls `dist`; its contents are replaced */
export async function buildPackage(dist: string): Promise<void> {
  await rm(dist, { recursive: true, force: true })
  const esm = join(dist, 'esm')
  const cjs = join(dist, 'cjs')
  const emit = ['--outDir', esm, '--declarationDir', cjs]
  await run(process.execPath, [TSC, '-p', join(ROOT, 'tsconfig.build.json'), ...emit])
  for (const path of COMMON_JS) await cp(join(ROOT, 'src', path), join(esm, path))
  const [names] = await Promise.all([
    bundleCommonJs(dist),
    bundleTemporal(cjs),
    adaptDeclarations(cjs),
    bundleCommandLine(join(dist, 'cli')),
  ])
  await chooseIoredisByCondition(esm)
  for (const { node, types } of entries.values()) {
    const exported = names.get(node.require) ?? []
    const from = relative(dirname(node.default), node.require)
    await write(inDist(dist, node.default), `export { ${exported.join(', ')} } from '${from}'\n`)
    await write(inDist(dist, types.default), `export * from '${from}'\n`)
  }
}

/** Lets bundlers choose, by `imports` of package.json, whether ES modules see ioredis. */
async function chooseIoredisByCondition(esm: string): Promise<void> {
  const path = join(esm, 'redis/clients/ioredis-create.js')
  await writeFile(path, (await readFile(path, 'utf8')).replace("'./ioredis-module.cjs'", "'#ioredis'"))
}

function inDist(dist: string, path: string): string {
  return path.replace('./dist', dist)
}

/** @returns the names that each entry exports, by its path in package.json */
async function bundleCommonJs(dist: string): Promise<Map<string, string[]>> {
  const paths = [...entries.values()].map(({ module, require }) => [nameOf(require), inDist(dist, module)])
  const bundle = await rolldown({
    input: Object.fromEntries(paths),
    platform: 'node',
    resolve: { modules: [join(ROOT, 'node_modules')] },
    onLog: (_level, { message }) => {
      throw new Error(message)
    },
    external: (id) => /^[^./]/.test(id) && !ESM_ONLY.some(({ name }) => name === id),
    plugins: [{ name: 'temporal', renderChunk: (code, { fileName }) => withTemporalOf(code, fileName) }],
  })
  const dir = join(dist, 'cjs')
  const names = { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name].js' }
  const { output } = await bundle.write({ dir, format: 'cjs', exports: 'named', ...names })
  await bundle.close()
  await write(join(dir, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`)
  await write(join(dir, 'THIRD-PARTY-LICENSES'), await licenses())
  return new Map(
    output.flatMap((file) =>
      file.type === 'chunk' && file.isEntry ? [[`./dist/cjs/${file.fileName}`, file.exports] as const] : [],
    ),
  )
}

async function bundleTemporal(dir: string): Promise<void> {
  const resolve = { modules: [join(ROOT, 'node_modules')] }
  const bundle = await rolldown({ input: { [TEMPORAL]: TEMPORAL }, cwd: ROOT, platform: 'node', resolve })
  await bundle.write({ dir, format: 'cjs', exports: 'named', entryFileNames: '[name].js' })
  await bundle.close()
}

/** Lets a file of `dist/cjs` require Temporal from its file there. */
function withTemporalOf(code: string, fileName: string): string {
  const path = relative(dirname(fileName), `${TEMPORAL}.js`)
  return code.replace(`require("${TEMPORAL}")`, `require("${path.startsWith('.') ? path : `./${path}`}")`)
}

/** `./dist/cjs/http/express.js` is `http/express`. */
function nameOf(path: string): string {
  return relative('dist/cjs', path).replace(/\.js$/, '')
}

async function licenses(): Promise<string> {
  const texts = BUNDLED.map(async ({ name, license }) => {
    const text = await readFile(join(ROOT, 'node_modules', name, license), 'utf8')
    return `The JavaScript in this folder contains ${name}:\n\n${text.trim()}\n`
  })
  return (await Promise.all(texts)).join('\n---\n\n')
}

/** An import of an optional package in a declaration file. */
const OPTIONAL_IMPORT = new RegExp(`^(?:import|export) [^\\n]*from '(?:${peers.join('|')})';$`, 'gm')

/** Adapts the declarations to users without the optional packages, and to every supported TypeScript. */
async function adaptDeclarations(folder: string): Promise<void> {
  for (const name of await readdir(folder, { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue
    const path = join(folder, name)
    const text = await readFile(path, 'utf8')
    const adapted = withoutPrivateNames(text)
      .replaceAll(/(from |import\()'(\.[^']+)\.ts'/g, "$1'$2.js'")
      .replaceAll(OPTIONAL_IMPORT, '// @ts-ignore: may not be installed\n$&')
    if (adapted !== text) await writeFile(path, adapted)
  }
}

/**
 * Replaces `#private`, which is an error even in a declaration if the target is ES5, the default of `tsc` before version 6. A private
 * property that is named after its class keeps the class nominal.
 */
function withoutPrivateNames(declarations: string): string {
  let className = ''
  const lines = declarations.split('\n').map((line) => {
    className = /\bclass (\w+)/.exec(line)?.[1] ?? className
    return line.replace(/^ +#private;$/, `    private readonly '#${className}';`)
  })
  return lines.join('\n')
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
