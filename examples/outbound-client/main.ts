/**
 * Calls an API that allows 25 calls a second: `npx tsx examples/outbound-client/main.ts`. With REDIS_URL three processes share
 * the turns in that Redis; without it one process waits by itself.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { storeFromUrl } from 'onrush'
import { VendorClient } from './client.ts'
import { startVendor } from './vendor.ts'

const CALLS = 20
const { REDIS_URL } = process.env

/** Asks for all calls at once. */
async function callVendor(url: string): Promise<void> {
  const store = storeFromUrl(REDIS_URL ?? 'memory://')
  const client = new VendorClient(url, store)
  await Promise.all(Array.from({ length: CALLS }, (_, order) => client.call(`/orders/${order}`)))
  await store.close()
}

async function callFromProcesses(url: string, count: number): Promise<void> {
  const processes = Array.from({ length: count }, () => fork(fileURLToPath(import.meta.url), [url]))
  const exits = await Promise.all(processes.map((child) => once(child, 'exit')))
  if (exits.some(([code]) => code !== 0)) throw new Error('a process failed')
}

const [vendorUrl] = process.argv.slice(2)
if (vendorUrl !== undefined) await callVendor(vendorUrl)
else {
  await using vendor = await startVendor()
  const start = performance.now()
  const processes = REDIS_URL === undefined ? 1 : 3
  if (processes === 1) await callVendor(vendor.url)
  else await callFromProcesses(vendor.url, processes)
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${processes} process${processes === 1 ? '' : 'es'} made ${processes * CALLS} calls in ${seconds} s`)
  console.log(`the vendor answered ${vendor.answered} and refused ${vendor.refused}`)
}
