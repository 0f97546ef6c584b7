/** Entries, dependencies and peer dependencies of the package, from package.json. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

/** The files of an entry, relative to the root. */
export interface EntryFiles {
  readonly types: { readonly require: string; readonly default: string }
  /** For bundlers. */
  readonly module: string
  readonly node: { readonly require: string; readonly default: string }
  readonly require: string
  /** For runtimes that are neither Node nor a bundler. */
  readonly default: string
}

interface Manifest {
  readonly exports: Readonly<Record<string, EntryFiles | string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

const manifest: Manifest = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8'))

/** Entries by the name that users import: `onrush`, `onrush/http` … */
export const entries: ReadonlyMap<string, EntryFiles> = new Map(
  Object.entries(manifest.exports).flatMap(([path, files]) =>
    typeof files === 'string' ? [] : [[path.replace('.', 'onrush'), files] as const],
  ),
)

/** Packages that are installed with onrush. */
export const dependencies: readonly string[] = Object.keys(manifest.dependencies)

/** Optional packages. */
export const peers: readonly string[] = Object.keys(manifest.peerDependencies)
