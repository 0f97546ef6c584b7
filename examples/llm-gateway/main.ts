/** Asks a gateway: `npx tsx examples/llm-gateway/main.ts`; with REDIS_URL it counts in that Redis, and a process crashes too. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { storeFromUrl } from 'onrush'
import { BusyError, gatewayTo, type Model } from './gateway.ts'

const url = process.env.REDIS_URL
const store = storeFromUrl(url ?? 'memory://')
let busy = 0
let most = 0

/** Stands for a real one. */
const model: Model = async function* (prompt, signal) {
  busy++
  most = Math.max(most, busy)
  try {
    for (const word of prompt.split(' ')) {
      await sleep(30, undefined, { signal })
      yield word
    }
  } finally {
    busy--
  }
}

const ask = gatewayTo(model, store)

async function answer(key: string, prompt: string, client = new AbortController()): Promise<string> {
  let said = ''
  try {
    for await (const word of ask({ key, tenant: 'acme' }, prompt, client.signal)) {
      said += `${word} `
      if (prompt.startsWith('leave')) client.abort(new Error('the client has left'))
    }
    return said.trim()
  } catch (error) {
    if (error instanceof BusyError) return error.message
    return error instanceof Error && error.name === 'AbortError' ? `aborted after ${said.trim()}` : String(error)
  }
}

if (process.argv.includes('crash')) {
  // Holds two permits of the tenant, and dies with them.
  void answer('crashing', 'word '.repeat(1000))
  void answer('crashing', 'word '.repeat(1000))
  await sleep(300)
  process.send?.('holding')
  await sleep(60_000)
}

console.log(await answer('alice', 'a stream of words'))
console.log(await answer('alice', 'leave in the middle'))
const many = await Promise.all(Array.from({ length: 8 }, (_, call) => answer(`key ${call % 4}`, 'one two')))
console.log(`${many.filter((text) => text === 'one two').length} of 8 answered, at most ${most} at once`)

if (url !== undefined) {
  const child = fork(process.argv[1] ?? '', ['crash'], { execArgv: ['--import', 'tsx'] })
  await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
  // One permit of the tenant is left until the lease of the dead process is over.
  await sleep(2200)
  const after = await Promise.all([1, 2, 3].map((call) => answer(`key ${call}`, 'still here')))
  console.log(`after a crash: ${after.join(', ')}`)
}
await store.close()
