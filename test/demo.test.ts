/** `npm run demo`, cut short. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { boundOf, isHeld } from '../benchmarks/demo/outcome.ts'
import { startRedis } from './support/servers/redis.ts'
import { freePort } from './support/servers/server-process.ts'

const ROOT = resolve(import.meta.dirname, '..')

function start(args: readonly string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, ['--import', 'tsx', 'benchmarks/demo.ts', '--seconds', '1', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The cells of a row of the table, without separators of thousands. */
function row(output: string, name: string): string[] {
  const line = output.split('\n').find((line) => line.startsWith(`│ ${name} `)) ?? ''
  return line.split('│').map((cell) => cell.trim().replaceAll(',', ''))
}

async function ending(demo: ChildProcess): Promise<number> {
  const [code] = await once(demo, 'exit')
  return code
}

/** The output without a terminal: lines of at most 80 columns without control codes, with the progress. */
function expectPlain(output: string): void {
  const lines = output.split('\n')
  expect(lines.filter((line) => line.length > 80 || /\p{Cc}/u.test(line))).toEqual([])
  expect(output).toMatch(/^0 s: [\d,]+( \+ [\d,]+)+ = [\d,]+ admitted of [\d,]+$/m)
}

describe('the demo', () => {
  test('lets exactly as many through as the quota allows, over several processes and a real Redis', async () => {
    const demo = start(['--processes', '3'])
    const [output, errors, code] = await Promise.all([text(demo.stdout), text(demo.stderr), ending(demo)])
    expect(errors).toBe('')
    expect(code).toBe(0)
    const [, , asked, admitted, bound, , held] = row(output, 'all')
    expect(admitted).toBe(bound)
    expect(Number(asked)).toBeGreaterThan(Number(admitted))
    expect(held).toBe('yes')
    const processes = ['1', '2', '3'].map((name) => Number(row(output, name)[3]))
    expect(Math.min(...processes)).toBeGreaterThan(0)
    expect(processes.reduce((sum, next) => sum + next)).toBe(Number(admitted))
    expectPlain(output)
  })

  test('runs on the in-process store where no Redis can be had, and says so in one line', async () => {
    const demo = start(['--processes', '2'], { ONRUSH_REDIS_SERVER: '/nowhere/redis-server' })
    const [output, code] = await Promise.all([text(demo.stdout), ending(demo)])
    expect(output.split('\n')[0]).toMatch(/^There is no Redis here, .* got '\/nowhere\/redis-server'$/)
    const [, , , admitted, bound, , held] = row(output, 'all')
    expect([admitted, held]).toEqual([bound, 'yes'])
    expect(code).toBe(0)
  })

  test('ends with code 1 when more got through than the quota allows, and leaves no key behind', async () => {
    await using redis = await startRedis()
    const demo = start(['--processes', '2', '--redis', redis.url])
    let output = ''
    let flushed: Promise<unknown> | undefined
    for await (const chunk of demo.stdout) {
      output += chunk
      // The server forgets the units used so far, so the whole quota may be used once more.
      if (/^0 s: /m.test(output)) flushed ??= redis.command('FLUSHALL')
    }
    expect(await flushed).toBe('OK')
    expect(demo.exitCode ?? (await ending(demo))).toBe(1)
    expect(row(output, 'all')[6]).toBe('NO')
    expect(output).toMatch(/^THE BOUND BROKE$/m)
    expect(await redis.command('DBSIZE')).toBe(0)
  })

  test('says so where no Redis answers', async () => {
    const demo = start(['--redis', `redis://127.0.0.1:${await freePort()}`])
    const [output, errors, code] = await Promise.all([text(demo.stdout), text(demo.stderr), ending(demo)])
    expect([output, errors]).toEqual(['No Redis answers at the URL of --redis\n', ''])
    expect(code).toBe(1)
  })

  test.each([
    ['--processes', '1'],
    ['--seconds', '60'],
  ])('refuses %s %s', async (name, value) => {
    const demo = start([name, value])
    const [errors, code] = await Promise.all([text(demo.stderr), ending(demo)])
    expect(errors).toContain(`${name} must be a whole number from`)
    expect(code).toBe(2)
  })
})

test('the bound holds only where all were admitted until the limit was reached, and none after it', () => {
  const outcome = (asked: number, admitted: number) => ({
    tallies: [{ asked, admitted, latest: 0 }],
    limit: 10,
    time: 1,
  })
  expect(boundOf(outcome(7, 7))).toBe(7)
  expect([isHeld(outcome(7, 7)), isHeld(outcome(20, 10))]).toEqual([true, true])
  expect([isHeld(outcome(7, 6)), isHeld(outcome(20, 9)), isHeld(outcome(20, 11))]).toEqual([false, false, false])
})
