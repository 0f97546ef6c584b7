/** Servers that can never decide: the error says what they lack, and is none of an outage. */
import {
  FailoverStore,
  GcraLimiter,
  Quota,
  RedisStore,
  StoreUnavailableError,
  Throttle,
  UnsupportedServerError,
} from 'onrush'
import { expect, onTestFinished, test } from 'vitest'
import { unavailable } from '../../src/redis/errors.ts'
import { startRedis } from '../support/servers/redis.ts'

test.each([
  [
    'Redis 6.0',
    'ERR Error running script (call to f_46c5f90af54e018279112f08c6832270338ec230): @user_script:127: ERR syntax error',
    'older than Redis 6.2',
  ],
  [
    'a server without a command of the script',
    'ERR Error running script (call to f_46c5): @user_script:9: @user_script: 9: Unknown Redis command called from Lua script',
    'lacks a command',
  ],
  [
    'a server without scripts',
    "ERR unknown command 'EVALSHA', with args beginning with: '46c5f90af54e018279112f08c6832270338ec230'",
    'lacks a command',
  ],
])(
  'what %s answers is told as a server that is not supported, with the version that is needed',
  (_name, answer, lack) => {
    const error = unavailable(new Error(answer))
    expect(error).toBeInstanceOf(UnsupportedServerError)
    expect(error).toHaveProperty('message', expect.stringContaining('Redis 6.2 or later'))
    expect(error).toHaveProperty('message', expect.stringContaining(lack))
  },
)

test('a server without EVALSHA is a fault of the configuration, which no fallback hides', async () => {
  const server = await startRedis({ args: ['--rename-command', 'EVALSHA', ''] })
  onTestFinished(() => server.stop())
  const primary = new RedisStore({ url: server.url, timeout: 20_000 })
  const store = new FailoverStore({ primary, fallback: 'allow' })
  onTestFinished(() => store.close())
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(5) })
  await expect(throttle.check('key')).rejects.toThrow(UnsupportedServerError)
  expect(store.state).toBe('closed')
})

test.each([
  ['rediss://127.0.0.1:%', ''],
  ['redis+cluster://127.0.0.1:%', '?tls=true'],
  ['redis+sentinel://127.0.0.1:%/mymaster', '?tls=true'],
])('a server without TLS, at %s%s, is told as that', async (url, options) => {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  const store = new RedisStore({ url: `${url.replace('%', String(server.port))}${options}`, timeout: 1500 })
  onTestFinished(() => store.close())
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(5) })
  await expect(throttle.check('key')).rejects.toThrow(/TLS.*redis: in place of rediss:/)
})

test.each(['redis://127.0.0.1:%', 'redis+cluster://127.0.0.1:%', 'redis+sentinel://127.0.0.1:%/mymaster'])(
  'a server that expects TLS, at %s, is told as that',
  async (url) => {
    const server = await startRedis({ tls: true })
    onTestFinished(() => server.stop())
    const store = new RedisStore({ url: url.replace('%', String(server.port)), timeout: 1500 })
    onTestFinished(() => store.close())
    const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(5) })
    await expect(throttle.check('key')).rejects.toThrow(/without TLS.*rediss: in place of redis:/)
  },
)

test('a server that has answered before is not taken for one that expects TLS', async () => {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  const store = new RedisStore({ url: server.url, timeout: 20_000 })
  onTestFinished(() => store.close())
  const throttle = new Throttle({ limiter: new GcraLimiter({ store }), rate: Quota.perMinute(5) })
  await throttle.check('key')
  await server.stop()
  const error: unknown = await throttle.check('key').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(StoreUnavailableError)
  expect(String(error)).not.toContain('TLS')
})
