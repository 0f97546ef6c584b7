/** The handlers that runtimes call, under their own types, checked by the compiler. */
import { expectTypeOf, test } from 'vitest'
import { rateLimit } from '../../src/http/fetch.ts'
import { oneAnHour } from '../support/http/single-framework.ts'

const throttle = oneAnHour()

/** As Next declares it, as far as it differs from a `Request`. */
declare class NextRequest extends Request {
  get cookies(): { get(name: string): { value: string } | undefined }
  get nextUrl(): URL & { locale: string }
  get page(): undefined
}

declare class NextResponse<Body = unknown> extends Response {
  get cookies(): Body
}

interface RouteContext {
  params: Promise<{ id: string }>
}

/** What Next says of what a route exports. */
type NextRoute = (request: NextRequest, context: RouteContext) => Promise<Response | undefined> | Response | undefined

const limited = rateLimit({ throttle, key: (request) => request.headers.get('x-api-key') ?? 'nobody' })

test('a handler of Next takes its NextRequest, and its context', () => {
  const alone = limited((request: NextRequest) => new Response(request.nextUrl.locale))
  expectTypeOf(alone).toExtend<NextRoute>()
  expectTypeOf(alone).parameter(0).toEqualTypeOf<NextRequest>()
  const withContext = limited(async (request: NextRequest, context: RouteContext) => {
    const { id } = await context.params
    return new Response(request.cookies.get(id)?.value)
  })
  expectTypeOf(withContext).toEqualTypeOf<(request: NextRequest, context: RouteContext) => Promise<Response>>()
  expectTypeOf(withContext).toExtend<NextRoute>()
  expectTypeOf(limited((_request: NextRequest): NextResponse => new NextResponse())).toExtend<NextRoute>()
})

test('a key may be read from a NextRequest, and from the context', () => {
  const byCookie = rateLimit({
    throttle,
    key: (request: NextRequest) => request.cookies.get('session')?.value ?? 'nobody',
    skip: (request) => request.nextUrl.pathname === '/health',
    onLimited: (result, request) => new Response(`${request.nextUrl} in ${result.retryAfter} ms`),
  })
  expectTypeOf(byCookie((_request: NextRequest) => new Response())).toExtend<NextRoute>()
  // @ts-expect-error: whoever calls it with a plain request has no cookies for the key.
  byCookie((request: NextRequest) => new Response(request.url))(new Request('http://127.0.0.1/')).catch(() => {})
  const byId = rateLimit({
    throttle,
    key: async (_request: NextRequest, { params }: RouteContext) => (await params).id,
  })
  expectTypeOf(byId((_request, context) => new Response(String(context)))).toExtend<NextRoute>()
})

test('a handler without types of its own takes those of the options', () => {
  limited((request) => {
    expectTypeOf(request).toEqualTypeOf<Request>()
    return new Response()
  })
  interface Env {
    KEY: string
  }
  const worker = rateLimit<[Env]>({ throttle, key: (_request, env) => env.KEY })((_request, env) => {
    expectTypeOf(env).toEqualTypeOf<Env>()
    return new Response()
  })
  expectTypeOf(worker).toBeCallableWith(new Request('http://127.0.0.1/'), { KEY: 'key' })
  expectTypeOf(worker).returns.toEqualTypeOf<Promise<Response>>()
  // @ts-expect-error: a text is no response.
  limited(() => 'hello')
})

test('a handler of Bun may answer nothing, and then the wrapped one may too', () => {
  interface BunServer {
    upgrade(request: Request): boolean
  }
  const handler = limited((request: Request, server: BunServer) => {
    if (server.upgrade(request)) return
    return new Response('no websocket')
  })
  expectTypeOf(handler).toEqualTypeOf<(request: Request, server: BunServer) => Promise<Response | undefined>>()
})
