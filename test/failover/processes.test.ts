/** Several processes that fall back at once. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Admitted, Task } from '../support/failover/process.ts'
import { LIMITERS } from '../support/limiters.ts'
import { freePort } from '../support/servers/server-process.ts'

const PROGRAM = fileURLToPath(new URL('../support/failover/process.ts', import.meta.url))
const INSTANCES = 3

test('n processes in fallback together stay within the quota that they share', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`
  const task = { url, instances: INSTANCES, rate: '50/day burst 12', checks: 100 }
  const admitted = await Promise.all(Array.from({ length: INSTANCES }, () => admittedBy(task)))
  // 16 + 4 each; the rest of the division is nobody's.
  expect(admitted).toEqual(admitted.map(() => LIMITERS.map(() => 20)))
})

async function admittedBy(task: Task): Promise<Admitted> {
  const child = fork(PROGRAM, { execArgv: ['--import', 'tsx'] })
  child.send(task)
  const [[admitted], [code]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
  expect(code).toBe(0)
  return admitted
}
