/**
 * Builds the package into `dist`, as users get it. Benchmarks must not run the sources by tsx, because tsx wraps every named closure in a
 * call (`__name`), which costs 0.3 µs for each closure made.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Brings `dist` up to date with `src`. @throws Error if the compiler fails, after it has printed why. */
export function build(): void {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error('The package does not build, so there is nothing to measure')
}

export function loadBuild(): Promise<typeof import('onrush')> {
  return import(new URL('../../dist/node/index.mjs', import.meta.url).href)
}
