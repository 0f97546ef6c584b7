/**
 * Next 16, built by Turbopack and by webpack: a limited route, a route that makes a RedisStore, and a limit before all routes, in `proxy.ts`, which
 * Node runs, and, in another project, in a middleware and a route of the edge runtime.
 */
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

/** Limits `/guarded`, and lets all else pass. */
const GUARD = `
import { NextResponse } from 'next/server'
import { DictionaryStore, Throttle } from 'onrush'
import { rateLimit } from 'onrush/fetch'
const throttle = new Throttle({ store: new DictionaryStore(), rate: '2/hour' })
const limited = rateLimit({ throttle, key: (request: Request) => request.headers.get('x-user') ?? 'nobody' })
export const config = { matcher: '/guarded' }
`

const GUARDED = { 'app/guarded/route.js': "export const GET = () => new Response('guarded')" }

const ON_NODE = { ...GUARDED, 'proxy.ts': `${GUARD}\nexport const proxy = limited(() => NextResponse.next())` }

const ON_EDGE = {
  ...GUARDED,
  'middleware.ts': `${GUARD}\nexport const middleware = limited(() => NextResponse.next())`,
  'app/limited/route.js': `export const runtime = 'edge'\n${FILES['app/limited/route.js']}`,
}

const TYPES = ['typescript@5.9', '@types/node@20', '@types/react@19']

export async function next(tarball: string): Promise<void> {
  for (const own of [ON_NODE, ON_EDGE]) {
    using project = new Project({ ...FILES, ...own })
    await project.install(tarball, 'next@16', 'react@19', 'react-dom@19', 'ioredis@6', ...TYPES)
    for (const bundler of ['--turbopack', '--webpack']) await checkBuild(project, bundler)
  }
}

async function checkBuild(project: Project, bundler: string): Promise<void> {
  const program = 'node_modules/next/dist/bin/next'
  const said = await project.run(program, ['build', bundler])
  const complaint = /.*(?:not supported in the Edge Runtime|Module not found).*/.exec(said)
  if (complaint !== null) throw new Error(complaint[0])
  const port = await freePort()
  await project.serve(program, ['start', '--port', String(port)], async () => {
    const ask = (path: string): Promise<Response> => askWhenReady(`http://127.0.0.1:${port}${path}`)
    for (const path of ['/limited', '/guarded']) {
      const statuses = [await ask(path), await ask(path), await ask(path)].map(({ status }) => status)
      expectEqual([bundler, path, ...statuses], [bundler, path, 200, 200, 429])
    }
    expectEqual(await (await ask('/redis')).text(), 'made and closed')
  })
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
