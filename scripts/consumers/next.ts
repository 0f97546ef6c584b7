/** Next 16, built by Turbopack and by webpack, with a limited route and a route that makes a RedisStore. */
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expectEqual, Project } from './project.ts'

const FILES = {
  'app/layout.jsx': 'export default function Layout({ children }) { return <html><body>{children}</body></html> }',
  'app/page.jsx': 'export default function Page() { return <p>onrush</p> }',
  'app/limited/route.js': `
import { DictionaryStore, GcraLimiter, Quota, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fetch'
const throttle = new Throttle({ limiter: new GcraLimiter({ store: new DictionaryStore() }), rate: Quota.perMinute(2) })
export const GET = rateLimit({ throttle, key: () => 'one' })(() => new Response('ok'))
`,
  'app/redis/route.js': `
import { RedisStore } from 'onrush'
export const dynamic = 'force-dynamic'
export async function GET() {
  const store = new RedisStore({ url: 'redis://127.0.0.1:1', options: { lazyConnect: true } })
  await store.close()
  return new Response('made and closed')
}
`,
}

export async function next(tarball: string): Promise<void> {
  using project = new Project(FILES)
  await project.install(tarball, 'next@16', 'react@19', 'react-dom@19', 'ioredis@6')
  const program = 'node_modules/next/dist/bin/next'
  for (const bundler of ['--turbopack', '--webpack']) {
    await project.run(program, ['build', bundler])
    const port = await freePort()
    await project.serve(program, ['start', '--port', String(port)], async () => {
      const ask = (path: string): Promise<Response> => askWhenReady(`http://127.0.0.1:${port}${path}`)
      const statuses = [await ask('/limited'), await ask('/limited'), await ask('/limited')].map(({ status }) => status)
      expectEqual([bundler, ...statuses], [bundler, 200, 200, 429])
      expectEqual(await (await ask('/redis')).text(), 'made and closed')
    })
  }
}

async function askWhenReady(url: string): Promise<Response> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await fetch(url)
    } catch (error) {
      if (tries === 300) throw error
      await sleep(200)
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
