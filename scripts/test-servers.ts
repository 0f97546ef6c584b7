/**
 * Runs all tests that need Redis against one server after another, and prints the outcome of each:
 * `npm run test:servers -- /path/to/redis-server /path/to/valkey-server …`. Without a path, runs against the server that the tests find.
 * `--only test/redis` (repeatable) runs only the tests under a path.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import Table from 'cli-table3'
import { findRedisServer } from '../test/support/servers/find-server.ts'

const SUITES = [
  ...['blocks', 'cluster', 'contract', 'events', 'failover', 'faults', 'headroom', 'hostile', 'leases', 'outbound'],
  ...['permits', 'redis', 'reserve', 'security', 'sentinel', 'support/servers', 'vectors', 'waiting'],
].map((name) => `test/${name}/`)

const VITEST = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')

/** The part of vitest's JSON report that is read. */
interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', multiple: true } },
})
const servers = positionals.length > 0 ? positionals : [await findRedisServer()]
const table = new Table({ head: ['server', 'passed', 'failed', 'skipped', 'seconds'] })
const failures: string[] = []

for (const path of servers) {
  const name = await nameOf(path)
  console.log(`\n${name}: ${path}\n`)
  const started = performance.now()
  const report = await run(path, values.only ?? SUITES)
  const seconds = Math.round((performance.now() - started) / 1000)
  table.push([name, report.numPassedTests, report.numFailedTests, report.numPendingTests, seconds])
  for (const { name: file, status, assertionResults } of report.testResults) {
    const failed = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => fullName)
    // A file may fail before its first test.
    if (status === 'failed') failures.push(...(failed.length > 0 ? failed : [file]).map((what) => `${name}: ${what}`))
  }
  if (!report.success) process.exitCode = 1
}

console.log(table.toString())
for (const failure of failures) console.log(failure)

/** `Redis 7.0.15`. */
async function nameOf(path: string): Promise<string> {
  const { stdout } = await promisify(execFile)(path, ['--version'])
  const [, kind, version] = /^(\w+) server v=([\d.]+)/i.exec(stdout) ?? []
  if (version === undefined) throw new Error(`${path} must be a Redis or Valkey server, but says: ${stdout.trim()}`)
  return `${kind} ${version}`
}

async function run(server: string, suites: readonly string[]): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), 'onrush-servers-'))
  const file = join(directory, 'report.json')
  try {
    const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${file}`]
    const child = spawn(process.execPath, [VITEST, 'run', '--project', 'ioredis 6', ...reporters, ...suites], {
      env: { ...process.env, ONRUSH_REDIS_SERVER: server },
      stdio: 'inherit',
    })
    await once(child, 'exit')
    // The type holds, because only vitest writes the file.
    const report: Report = JSON.parse(readFileSync(file, 'utf8'))
    return report
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
