/** The contract runs under node:test as it does under vitest. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

interface Outcome {
  readonly code: number | null
  readonly report: string
}

async function runUnderNodeTest(file: string): Promise<Outcome> {
  const path = fileURLToPath(new URL(`../support/contract/${file}`, import.meta.url))
  // Inside another runner, node:test would report to that.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', '--test', '--test-reporter', 'tap', path], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const report = await text(child.stdout)
  return { code: await ended, report }
}

it('a store without a fault passes', async () => {
  const { code, report } = await runUnderNodeTest('good-store.ts')
  expect(report).toContain('# fail 0')
  expect(report).toContain('ok 1 - a key that was never set has no record')
  expect(Number(/^# pass (\d+)$/m.exec(report)?.[1])).toBeGreaterThan(50)
  expect(code).toBe(0)
})

it('a store with a fault fails, and tests that ask nothing of it are skipped', async () => {
  const { code, report } = await runUnderNodeTest('bad-store.ts')
  expect(report.match(/^ +not ok \d+ - .*$/gm)?.map((line) => line.trim())).toEqual(
    expect.arrayContaining([expect.stringContaining('a record that was handed out')]),
  )
  expect(report).toContain('# SKIP')
  expect(code).toBe(1)
})
