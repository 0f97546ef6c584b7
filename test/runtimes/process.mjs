/** Runs the suite in a process: Node, Bun or Deno. Its addresses are arguments: Redis, the HTTP server before it, the token of that. */
import { Redis } from '@upstash/redis'
import { DictionaryStore, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fetch'
import { clientIp } from 'onrush/http'
import { IN_PROCESS, onRedis, RedisStore, run } from './suite.mjs'

const [url, httpUrl, token] = process.argv.slice(2)

/** Serves a limited handler as docs/http.md and docs/edge.md say; resolves to the statuses of three requests and the key of the first. */
async function served() {
  let key = ''
  const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/hour' })
  const remembered = (remoteAddress) => {
    key = clientIp({ remoteAddress })
    return key
  }
  const ask = async (port) => {
    const statuses = []
    for (let time = 0; time < 3; time++) statuses.push((await fetch(`http://127.0.0.1:${port}/`)).status)
    const said = JSON.stringify([key, ...statuses])
    if (said !== '["127.0.0.1",200,200,429]') throw new Error(said)
  }
  if (globalThis.Bun !== undefined) {
    const handler = rateLimit({ throttle, key: (request, server) => remembered(server.requestIP(request)?.address) })
    const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: handler(() => new Response('hello')) })
    await ask(server.port)
    return server.stop(true)
  }
  if (globalThis.Deno !== undefined) {
    const handler = rateLimit({ throttle, key: (_request, info) => remembered(info.remoteAddr.hostname) })
    const server = Deno.serve(
      { port: 0, hostname: '127.0.0.1', onListen() {} },
      handler(() => new Response('hello')),
    )
    await ask(server.addr.port)
    return server.shutdown()
  }
  const { createServer } = await import('node:http')
  const server = createServer(async (request, response) => {
    const { limited } = await throttle.check(remembered(clientIp(request)))
    response.writeHead(limited ? 429 : 200).end()
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  await ask(server.address().port)
  server.closeAllConnections()
  server.close()
}

const client = new Redis({ url: httpUrl, token })
for (const lines of [
  await run('in the process', { ...IN_PROCESS, 'a server limits by the address of its client': served }),
  await run(
    'on Redis',
    onRedis((options) => new RedisStore({ url, ...options })),
  ),
  await run(
    'over HTTP',
    onRedis((options) => new RedisStore({ client, ...options })),
  ),
]) {
  console.log(lines.join('\n'))
}
