/** A vendor's refusal that one of several processes has seen pauses all of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Call } from '../support/outbound/caller.ts'
import { startRedis } from '../support/servers/redis.ts'

const CALLER = fileURLToPath(new URL('../support/outbound/caller.ts', import.meta.url))
const PROCESSES = 8
const PAUSE = 1
/** Calls before the refusal, and after the pause. */
const CALLS = 40

test('no process calls until Retry-After, but for the calls that were asked for before the refusal was heeded', async () => {
  await using redis = await startRedis()
  const arrivals = new Map<string, number>()
  const over = new AbortController()
  let refusedAt = 0
  let after = 0
  const vendor = createServer((request, response) => {
    const now = Date.now()
    arrivals.set(request.url ?? '', now)
    if (arrivals.size === CALLS) {
      refusedAt = now
      response.writeHead(429, { 'Retry-After': String(PAUSE) }).end()
      return
    }
    if (refusedAt > 0 && now > refusedAt + PAUSE * 1000 && ++after === CALLS) over.abort()
    response.end()
  })
  vendor.listen(0, '127.0.0.1')
  await once(vendor, 'listening')
  const address = vendor.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const calls: Call[] = []
  const children: ChildProcess[] = []
  try {
    for (let index = 0; index < PROCESSES; index++) {
      const args = [redis.url, `http://127.0.0.1:${port}/${index}`]
      children.push(fork(CALLER, args, { execArgv: ['--import', 'tsx'] }))
    }
    await Promise.all(children.map((child) => once(child, 'message')))
    for (const child of children) child.on('message', (call: Call) => calls.push(call)).send('go')
    if (!over.signal.aborted) await once(over.signal, 'abort')
    await Promise.all(
      children.map(async (child) => {
        const exit = once(child, 'exit')
        child.send('stop')
        expect(await exit).toEqual([0, null])
      }),
    )
  } finally {
    for (const child of children) child.kill()
    vendor.closeAllConnections()
    vendor.close()
  }
  const refused = calls.find(({ status }) => status === 429)
  expect(calls.filter(({ status }) => status === 429)).toHaveLength(1)
  const { heeded = Number.NaN, blockedUntil = Number.NaN } = refused ?? {}
  expect(blockedUntil).toBeGreaterThanOrEqual(refusedAt + PAUSE * 1000 - 1)
  const later = calls.filter(({ asked }) => asked > heeded)
  expect(later.length).toBeGreaterThan(CALLS / 2)
  // The clock is read in whole ms.
  for (const { path } of later) expect(arrivals.get(path)).toBeGreaterThanOrEqual(blockedUntil - 1)
})
