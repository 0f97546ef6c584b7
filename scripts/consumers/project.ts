/** An empty project in its own folder, into which the packed tarball is installed. */
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const ENVIRONMENT = { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1' }

export class Project implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'onrush-project-'))

  /** @param files texts by their paths; package.json defaults to `{}` */
  constructor(files: Readonly<Record<string, string>>) {
    for (const [path, text] of Object.entries({ 'package.json': '{}', ...files })) this.write(path, text)
  }

  write(path: string, text: string): void {
    const target = join(this.directory, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text)
  }

  /** @throws Error if npm fails, or warns of onrush's `engines` or of incompatible packages */
  async install(...packages: readonly string[]): Promise<void> {
    const { stderr } = await run(NPM, ['install', '--no-audit', '--no-fund', ...packages], this.#options())
    // Only what concerns onrush matters: other packages may require another Node, or packages that do not fit each other.
    const complaint = /ERESOLVE(?:(?!ERESOLVE)[\s\S])*\bonrush@.*|.*EBADENGINE.*'onrush@.*/.exec(stderr)
    if (complaint !== null) throw new Error(complaint[0])
  }

  /**
   * Runs a program with Node, and returns what it prints.
   * @param program a path relative to the project
   * @throws Error with the output, if the program fails
   */
  async run(program: string, args: readonly string[] = [], node = process.execPath): Promise<string> {
    const binary = node.startsWith('node_modules') ? join(this.directory, node) : node
    try {
      const { stdout, stderr } = await run(binary, [program, ...args], this.#options())
      return `${stdout}${stderr}`
    } catch (error) {
      const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
      throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`)
    }
  }

  /** Runs a program that an installed package brings, and returns what it prints. */
  runBinary(name: string, args: readonly string[]): Promise<string> {
    const [program = '', ...rest] = args
    return this.run(program, rest, `node_modules/.bin/${name}`)
  }

  /** Runs a server program for as long as `use` runs. */
  async serve<T>(program: string, args: readonly string[], use: () => Promise<T>): Promise<T> {
    const server = spawn(process.execPath, [program, ...args], { ...this.#options(), stdio: 'ignore' })
    try {
      return await use()
    } finally {
      server.kill()
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 })
  }

  #options() {
    return { cwd: this.directory, env: ENVIRONMENT, timeout: 600_000, maxBuffer: 64 * 1024 * 1024 }
  }
}

/** @throws Error that shows both values, if they differ */
export function expectEqual(found: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)]
  if (left !== right) throw new Error(`expected ${right}, found ${left}`)
}
