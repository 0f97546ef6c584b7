/** How many functions stand between a caller and Redis: each is a door that a reader opens, and a cost of each check. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { Entered } from '../support/entered.ts'

const TRACE = fileURLToPath(new URL('../../scripts/trace.ts', import.meta.url))

test('a check enters at most 70 functions of the source, in 16 files; each of 128 at once at most 30', async () => {
  // Not here, because a test's modules call a function of their own for each import that they use.
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', TRACE, '--json'])
  const traces: (Entered & { readonly checks: number })[] = JSON.parse(stdout)
  expect(traces.map(({ checks }) => checks)).toEqual([1, 128])
  for (const { checks, functions, entries, files } of traces) {
    const list = functions.map(({ file, name, count }) => `${file} ${name}: ${count}`)
    expect(list).toContain(`throttle.ts check: ${checks}`)
    expect(entries / checks, list.join('\n')).toBeLessThanOrEqual(checks === 1 ? 70 : 30)
    expect(files, list.join('\n')).toBeLessThanOrEqual(16)
  }
})
