/** The package as it is once installed: what would be published, and nothing else of this project. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPackage } from '../../scripts/package/build.ts'
import { ROOT } from '../../scripts/package/manifest.ts'

export class BuiltPackage implements Disposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async create(): Promise<BuiltPackage> {
    const directory = mkdtempSync(join(tmpdir(), 'onrush-package-'))
    for (const file of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
      cpSync(join(ROOT, file), join(directory, file))
    }
    await buildPackage(join(directory, 'dist'))
    return new BuiltPackage(directory)
  }

  /** @param project the folder whose `node_modules` gets the package */
  install(project: string): void {
    cpSync(this.#directory, join(project, 'node_modules/onrush'), { recursive: true })
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
