/** What `scripts/consumers/nest.ts` compiles with legacy decorators, and runs on each version of NestJS. */
export const PROGRAM = `
import 'reflect-metadata'
import assert from 'node:assert/strict'
import { Body, Controller, Get, Injectable, Module, Param, Post, type INestApplication, type Type, UnauthorizedException } from '@nestjs/common'
import { APP_GUARD, NestFactory } from '@nestjs/core'
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo'
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql'
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { IoAdapter } from '@nestjs/platform-socket.io'
import { WsAdapter } from '@nestjs/platform-ws'
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { DictionaryStore, Throttle, throttled } from 'onrush'
import { clientIp } from 'onrush/http'
import { RateLimit, RateLimitGuard, RateLimitModule, requestOf, UseRateLimit, type NestRateLimitOptions } from 'onrush/nestjs'
import { io } from 'socket.io-client'
import WebSocket from 'ws'

class WatchedStore extends DictionaryStore {
  closed = false
  override async close(): Promise<void> {
    this.closed = true
  }
}
const clock = () => 1_800_000_000_000_000
let store = new WatchedStore({ clock })
const mails = new Throttle({ store: new DictionaryStore({ clock }), rate: '1/hour name mails' })

@Injectable()
class Mailer {
  @throttled(mails, { key: (to: string) => 'mail:' + to })
  async send(to: string): Promise<string> {
    return 'sent to ' + to
  }
}

@Controller()
class AppController {
  constructor(private readonly mailer: Mailer) {}

  @Get()
  home(): string {
    return 'hello'
  }

  @RateLimit({ rate: '1/hour name export', headers: 'draft-7' })
  @Get('export')
  export(): string {
    return 'rows'
  }

  @RateLimit(false)
  @Get('health')
  health(): string {
    return 'well'
  }

  @throttled(mails, { key: 'below' })
  @Get('below/:name')
  async below(@Param('name') name: string): Promise<string> {
    return name
  }

  @RateLimit({ rate: '1/hour name login', counted: 'failed' })
  @Post('login')
  async login(@Body() body: { password: string }): Promise<string> {
    if (body.password !== 'right') throw new UnauthorizedException()
    return 'in'
  }

  @RateLimit(false)
  @Get('mail')
  mail(): Promise<string> {
    return this.mailer.send('ada')
  }
}

const throttle = () => new Throttle({ store, rate: '3/hour name hourly; 100/day name daily' })
const limits = (): NestRateLimitOptions => ({ store, throttle: throttle(), key: (context) => clientIp(requestOf(context)) })

function rootOf(limited: NonNullable<Parameters<typeof Module>[0]['imports']>[number]): Type {
  @Module({
    imports: [limited],
    controllers: [AppController],
    providers: [Mailer, { provide: APP_GUARD, useClass: RateLimitGuard }],
  })
  class AppModule {}
  return AppModule
}

async function on(adapter: ExpressAdapter | FastifyAdapter, root: Type, use: (url: string, app: INestApplication) => Promise<void>) {
  const app = await NestFactory.create(root, adapter, { logger: false, abortOnError: false, forceCloseConnections: true })
  await app.listen(0, '127.0.0.1')
  try {
    await use(await app.getUrl(), app)
  } finally {
    await app.close()
  }
}

async function rest(url: string): Promise<void> {
  const home = await fetch(url)
  assert.equal(await home.text(), 'hello')
  assert.equal(home.headers.get('ratelimit-policy'), '"hourly";q=3;w=3600, "daily";q=100;w=86400')
  assert.equal(home.headers.get('ratelimit'), '"hourly";r=2;t=1200, "daily";r=99;t=864')
  await fetch(url)
  await fetch(url)
  const refused = await fetch(url)
  assert.equal(refused.status, 429)
  assert.match(refused.headers.get('content-type') ?? '', /^application\\/problem\\+json/)
  assert.equal(refused.headers.get('retry-after'), '1200')
  const problem = await refused.json()
  assert.equal(problem.title, 'Quota Exceeded')
  assert.deepEqual(problem['violated-policies'], ['hourly'])

  const rows = [await fetch(url + '/export'), await fetch(url + '/export')]
  assert.deepEqual(rows.map(({ status }) => status), [200, 429])
  assert.equal(rows[0]?.headers.get('ratelimit'), 'limit=1, remaining=0, reset=3600')
  for (const path of ['/health', '/health', '/health', '/health']) assert.equal((await fetch(url + path)).status, 200)

  const mail = [await fetch(url + '/mail'), await fetch(url + '/mail')]
  assert.deepEqual(mail.map(({ status }) => status), [200, 429])
  assert.equal(mail[1]?.headers.get('retry-after'), '3600')
  assert.equal((await mail[1]?.json()).title, 'Quota Exceeded')
  await mails.clear('mail:ada')

  const login = async (password: string) => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(url + '/login', { method: 'POST', headers, body: JSON.stringify({ password }) })).status
  }
  assert.deepEqual([await login('right'), await login('right'), await login('wrong'), await login('right')], [201, 201, 401, 429])
}

async function below(url: string): Promise<void> {
  assert.equal(await (await fetch(url + '/below/ada')).text(), 'ada')
  assert.equal((await fetch(url + '/below/ada')).status, 429)
  await mails.clear('below')
}

@Resolver()
class AppResolver {
  @Query(() => String)
  one(): string {
    return 'one'
  }

  @RateLimit({ rate: '1/hour name guess', counted: 'failed', key: () => 'guesses' })
  @Query(() => String)
  guess(): string {
    throw new Error('wrong')
  }

  @RateLimit({ rate: '1/hour name hit', counted: 'failed', key: () => 'hits' })
  @Query(() => String)
  hit(): string {
    return 'hit'
  }
}

function graphRoot(driver: typeof ApolloDriver | typeof MercuriusDriver): Type {
  const graph =
    driver === ApolloDriver
      ? GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true })
      : GraphQLModule.forRoot<MercuriusDriverConfig>({ driver: MercuriusDriver, autoSchemaFile: true })
  @Module({
    imports: [graph, RateLimitModule.forRoot(limits())],
    providers: [AppResolver, { provide: APP_GUARD, useClass: RateLimitGuard }],
  })
  class GraphModule {}
  return GraphModule
}

async function graphql(url: string): Promise<void> {
  const ask = async (query: string) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url + '/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) })
    return { fields: response.headers.get('ratelimit'), ...(await response.json()) }
  }
  const two = await ask('{ a: one b: one }')
  assert.deepEqual(two.data, { a: 'one', b: 'one' })
  assert.equal(two.fields, '"hourly";r=1;t=1200, "daily";r=98;t=864')
  await ask('{ one }')
  const refused = await ask('{ one }')
  assert.equal(refused.errors[0].extensions.code, 'TOO_MANY_REQUESTS')
  assert.equal(refused.errors[0].extensions.retryAfter, 1200)
  assert.deepEqual(refused.errors[0].extensions.problem['violated-policies'], ['hourly'])
  assert.deepEqual([(await ask('{ hit }')).data, (await ask('{ hit }')).data], [{ hit: 'hit' }, { hit: 'hit' }])
  assert.equal((await ask('{ guess }')).errors[0].message, 'wrong')
  assert.equal((await ask('{ guess }')).errors[0].extensions.code, 'TOO_MANY_REQUESTS')
}

function socketRoot(): Type {
  @UseRateLimit()
  @WebSocketGateway()
  class AppGateway {
    @RateLimit({ rate: '2/hour name messages', key: () => 'sockets' })
    @SubscribeMessage('say')
    say(): { event: string; data: string } {
      return { event: 'said', data: 'yes' }
    }

    @RateLimit({ rate: '1/hour name tries', key: () => 'tries', counted: 'failed' })
    @SubscribeMessage('try')
    try(): { event: string; data: string } {
      return { event: 'said', data: 'tried' }
    }

    @RateLimit({ rate: '9/hour name address' })
    @SubscribeMessage('address')
    address(): { event: string; data: string } {
      return { event: 'said', data: 'address' }
    }
  }
  @Module({ imports: [RateLimitModule.forRoot(limits())], providers: [AppGateway] })
  class SocketModule {}
  return SocketModule
}

type Told = [event: string, data: { code?: string; status?: string; retryAfter?: number } | string]

async function socketIo(url: string): Promise<void> {
  const socket = io(url, { transports: ['websocket'] })
  const told: Told[] = []
  let tell = () => {}
  socket.onAny((event, data) => {
    told.push([event, data])
    tell()
  })
  await new Promise<void>((resolve) => socket.on('connect', resolve))
  const say = (event: string) => new Promise<void>((resolve) => { tell = resolve; socket.emit(event, {}) })
  await sockets(say, told)
  await say('address')
  assert.deepEqual(told.at(-1), ['said', 'address'])
  socket.close()
}

async function bareSockets(url: string): Promise<void> {
  const socket = new WebSocket(url.replace('http', 'ws'))
  const told: Told[] = []
  let tell = () => {}
  socket.on('message', (text) => {
    const { event, data } = JSON.parse(String(text))
    told.push([event, data])
    tell()
  })
  await new Promise<void>((resolve) => socket.on('open', () => resolve()))
  const say = (event: string) => new Promise<void>((resolve) => { tell = resolve; socket.send(JSON.stringify({ event, data: {} })) })
  await sockets(say, told)
  socket.close()
}

async function sockets(say: (event: string) => Promise<void>, told: Told[]): Promise<void> {
  for (let time = 0; time < 3; time++) await say('say')
  assert.deepEqual(told.slice(0, 2), [['said', 'yes'], ['said', 'yes']])
  const [event, data] = told[2] ?? []
  assert.equal(event, 'exception')
  assert.ok(typeof data === 'object')
  assert.deepEqual([data.status, data.code, data.retryAfter], ['error', 'TOO_MANY_REQUESTS', 1800])
  for (let time = 0; time < 3; time++) await say('try')
  assert.deepEqual(told.slice(3), [['said', 'tried'], ['said', 'tried'], ['said', 'tried']])
}

const LIMITS = 'LIMITS'

@Module({ providers: [{ provide: LIMITS, useFactory: limits }], exports: [LIMITS] })
class LimitsModule {}

async function main(): Promise<void> {
  const roots = {
    forRoot: () => rootOf(RateLimitModule.forRoot(limits())),
    forRootAsync: () =>
      rootOf(
        RateLimitModule.forRootAsync({
          imports: [LimitsModule],
          inject: [LIMITS],
          useFactory: async (options: NestRateLimitOptions) => options,
        }),
      ),
  }
  for (const [name, root] of Object.entries(roots)) {
    for (const adapter of [new ExpressAdapter(), new FastifyAdapter()]) {
      store = new WatchedStore({ clock })
      await on(adapter, root(), async (url) => {
        await rest(url)
        assert.equal(store.closed, false)
      })
      assert.equal(store.closed, true)
      store = new WatchedStore({ clock })
      await on(adapter instanceof ExpressAdapter ? new ExpressAdapter() : new FastifyAdapter(), root(), below)
      console.log(name, adapter.constructor.name)
    }
  }
  for (const [driver, adapter] of [[ApolloDriver, new ExpressAdapter()], [MercuriusDriver, new FastifyAdapter()]] as const) {
    store = new WatchedStore({ clock })
    await on(adapter, graphRoot(driver), graphql)
    console.log(driver.name)
  }
  for (const [adapter, ask] of [[IoAdapter, socketIo], [WsAdapter, bareSockets]] as const) {
    store = new WatchedStore({ clock })
    const app = await NestFactory.create(socketRoot(), { logger: false, abortOnError: false, forceCloseConnections: true })
    app.useWebSocketAdapter(new adapter(app))
    await app.listen(0, '127.0.0.1')
    await ask(await app.getUrl())
    await app.close()
    console.log(adapter.name)
  }
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
`
