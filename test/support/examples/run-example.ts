/** Runs an example as a reader does, by its one command. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../../..')

/** The lines that the example prints. Rejects if the example fails or does not end. */
export async function runExample(name: string, environment: Record<string, string> = {}): Promise<string[]> {
  const { stdout } = await promisify(execFile)('npx', ['tsx', `examples/${name}/main.ts`], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    timeout: 50_000,
  })
  return stdout.trimEnd().split('\n')
}
