/**
 * The package as users get it: compiled into `dist`. The sources as tsx runs them will not do, since it wraps every
 * named closure in a call (`__name`), which costs 0.3 µs each time one is made.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Brings `dist` up to date with `src`. @throws Error when the compiler, which has said why, fails. */
export function build(): void {
  const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) throw new Error('The package does not build, so there is nothing to measure')
}

export function loadBuild(): Promise<typeof import('onrush')> {
  return import(new URL('../../dist/node/index.mjs', import.meta.url).href)
}
