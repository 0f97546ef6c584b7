/** A project in which only the package and the named packages are installed. */
import { type ExecFileException, execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { dependencies, ROOT } from '../../../scripts/package/manifest.ts'
import type { BuiltPackage } from '../built-package.ts'

/** How a program ended. */
export interface Ending {
  readonly code: number | string | null
  readonly stdout: string
  readonly stderr: string
}

export class Consumer implements Disposable {
  readonly directory: string

  /** @param packages names of packages of this project, which are installed beside onrush */
  constructor(built: BuiltPackage, packages: readonly string[] = []) {
    this.directory = mkdtempSync(join(tmpdir(), 'onrush-consumer-'))
    built.install(this.directory)
    for (const name of [...dependencies, ...packages]) this.link(name)
  }

  /** Installs a package of this project, under another name where one is given. */
  link(name: string, as = name): void {
    const target = join(this.directory, 'node_modules', as)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), target)
  }

  write(path: string, text: string): void {
    const target = join(this.directory, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text)
  }

  /** Runs a program with Node. */
  run(program: string, ...args: readonly string[]): Promise<Ending> {
    return new Promise((resolve) => {
      const options = { cwd: this.directory, timeout: 120_000, env: { ...process.env, NODE_ENV: 'production' } }
      const arguments_ = [program, ...args]
      execFile(process.execPath, arguments_, options, (error: ExecFileException | null, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), stdout, stderr })
      })
    })
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
