/** Stands for somebody else's API: it allows so many calls, and answers 429 to the others, and to one more, for a reason of its own. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'

export interface Vendor extends AsyncDisposable {
  readonly url: string
  readonly answered: number
  readonly refused: number
}

/** The call that is refused although the limit allows it. */
const UNLUCKY = 10

/** 25 calls a second, and up to 50 at once. */
export async function startVendor(): Promise<Vendor> {
  const limiter = new GcraLimiter({ store: new DictionaryStore() })
  const throttle = new Throttle({ limiter, rate: Quota.perSecond(25, { maximumBurst: 25 }) })
  let answered = 0
  let refused = 0
  const server = createServer((_request, response) => {
    const { limited } = throttle.checkSync('customer')
    const isRefused = limited || answered + refused + 1 === UNLUCKY
    if (isRefused) refused++
    else answered++
    response.writeHead(isRefused ? 429 : 200, isRefused ? { 'Retry-After': '1' } : {}).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    get answered() {
      return answered
    },
    get refused() {
      return refused
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
