/**
 * A project as a user has it, with the package installed as it would be published, and a program for each snippet.
 * A program has its code in the same lines as its page, so that errors name lines of the page.
 */
import { type ExecFileException, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { BuiltPackage } from '../built-package.ts'
import type { Snippet } from './snippets.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const TSC = join(ROOT, 'node_modules/.bin/tsc')
/** ms. */
const LONGEST_RUN = 30_000
const LOCAL_REDIS = /redis:\/\/localhost:6379(\/\d+)?/g

const COMPILER_OPTIONS = {
  target: 'es2023',
  module: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: true,
  types: ['node'],
  inlineSourceMap: true,
}

const LEGACY_DECORATORS = { experimentalDecorators: true, emitDecoratorMetadata: true }

/** How a program or compiler ended. */
export interface Ending {
  readonly code: number | string | null
  readonly stdout: string
  readonly stderr: string
}

export class Project implements Disposable {
  readonly #directory: string
  readonly #errors: readonly string[]

  private constructor(directory: string, errors: readonly string[]) {
    this.#directory = directory
    this.#errors = errors
  }

  /** @param redisUrl where a snippet that names the local Redis finds one of its own */
  static async create(snippets: readonly Snippet[], redisUrl: (snippet: Snippet) => string): Promise<Project> {
    const directory = mkdtempSync(join(tmpdir(), 'onrush-docs-'))
    mkdirSync(join(directory, 'programs'))
    // Other packages that programs import are found one directory up.
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
    using built = await BuiltPackage.create()
    built.install(join(directory, 'programs'))
    for (const snippet of snippets) {
      const code = snippet.code.replaceAll(LOCAL_REDIS, redisUrl(snippet))
      writeFileSync(join(directory, fileOf(snippet)), '\n'.repeat(snippet.line - 1) + code)
    }
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ type: 'module' }))
    const legacy = snippets.filter(({ legacyDecorators }) => legacyDecorators).map(fileOf)
    const configs = {
      'tsconfig.json': { compilerOptions: COMPILER_OPTIONS, include: ['programs/*.ts'], exclude: legacy },
      'tsconfig.legacy.json': { compilerOptions: { ...COMPILER_OPTIONS, ...LEGACY_DECORATORS }, files: legacy },
    }
    const errors: string[] = []
    for (const [name, config] of Object.entries(configs)) {
      writeFileSync(join(directory, name), JSON.stringify(config))
      const { code, stdout, stderr } = await run(TSC, ['-p', name, '--pretty', 'false'], directory)
      const found = stdout.split(/\n(?!\s)/).filter((line) => line.includes('error TS'))
      if (code !== 0 && found.length === 0) throw new Error(`tsc ended with ${code}:\n${stdout}${stderr}`)
      errors.push(...found)
    }
    return new Project(directory, errors)
  }

  /** The compiler's errors about a snippet, with lines of its page. */
  errorsOf(snippet: Snippet): string[] {
    const own = new RegExp(`^programs/${nameOf(snippet)}\\.ts\\((\\d+),\\d+\\): `)
    return this.#errors.filter((error) => own.test(error)).map((error) => error.replace(own, `${snippet.page}:$1 `))
  }

  run(snippet: Snippet): Promise<Ending> {
    const program = join('programs', `${nameOf(snippet)}.js`)
    return run(process.execPath, ['--enable-source-maps', program], this.#directory)
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** `docs-stores-42`. */
function nameOf({ page, line }: Snippet): string {
  return `${page.replace('.md', '').replace('/', '-')}-${line}`
}

function fileOf(snippet: Snippet): string {
  return `programs/${nameOf(snippet)}.ts`
}

function run(command: string, args: readonly string[], cwd: string): Promise<Ending> {
  return new Promise((resolve) => {
    const env = { ...process.env, NODE_ENV: 'production' }
    execFile(command, args, { cwd, env, timeout: LONGEST_RUN }, (error: ExecFileException | null, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), stdout, stderr })
    })
  })
}
