/**
 * `npm run test:consumers -- [NAME …]`: packs the package, and installs the tarball into projects, as users do. All other packages come
 * from the registry. The quick tests of consumers are in test/consumers.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command } from './command.ts'
import { jest, jestOfNest } from './jest.ts'
import { neighbours } from './neighbours.ts'
import { nest } from './nest.ts'
import { next } from './next.ts'
import { nodes } from './nodes.ts'
import { types } from './types.ts'

/** Each throws if the package does not work for its kind of user. */
const CONSUMERS = { nodes, command, neighbours, jest, jestOfNest, types, next, nest }

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !Object.keys(CONSUMERS).includes(name))
if (unknown.length > 0) throw new RangeError(`no project ${unknown}; there are ${Object.keys(CONSUMERS).join(', ')}`)

const directory = mkdtempSync(join(tmpdir(), 'onrush-tarball-'))
try {
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', directory], { encoding: 'utf8' })
  const filename = /"filename": "([^"]+)"/.exec(packed)?.[1]
  if (filename === undefined) throw new Error(`npm pack said:\n${packed}`)
  for (const [name, build] of Object.entries(CONSUMERS)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    const start = performance.now()
    const failure = await build(join(directory, filename)).then(
      () => undefined,
      (error: unknown) => error,
    )
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(`${failure === undefined ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`)
    if (failure === undefined) continue
    console.log(failure instanceof Error ? failure.message : failure)
    process.exitCode = 1
  }
} finally {
  rmSync(directory, { recursive: true, force: true })
}
