/** A store sends the calls of checks to ioredis and iovalkey as commands of its own, unless others follow the client's commands. */
import { tracingChannel } from 'node:diagnostics_channel'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { GcraLimiter, RedisStore, Throttle } from 'onrush'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { DAY } from '../support/cluster/still-cluster.ts'
import { type RedisServer, startRedis } from '../support/servers/redis.ts'
import { uniquePrefix } from '../support/servers/shared-redis.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

const CLIENTS: readonly { name: string; connect: () => Redis | Redis5 | Valkey }[] = [
  { name: 'ioredis 6', connect: () => new Redis(server.port) },
  { name: 'ioredis 5', connect: () => new Redis5(server.port) },
  { name: 'iovalkey', connect: () => new Valkey(server.port) },
]

describe.each(CLIENTS)('with $name', ({ name, connect }) => {
  function open(client = connect()) {
    onTestFinished(() => client.disconnect())
    const store = new RedisStore({ client, prefix: uniquePrefix(), timeout: 20_000 })
    return { client, throttle: new Throttle({ limiter: new GcraLimiter({ store }), rate: DAY }) }
  }

  async function remainingOf(throttle: Throttle, times: number): Promise<number[]> {
    const left: number[] = []
    for (let time = 0; time < times; time++) left.push((await throttle.check('a key')).remaining)
    return left
  }

  test('the client makes no command for a check', async () => {
    const { client, throttle } = open()
    const [first = 0] = await remainingOf(throttle, 1)
    const made = vi.spyOn(client, 'callBuffer')
    expect(await remainingOf(throttle, 3)).toEqual([first - 1, first - 2, first - 3])
    expect(made.mock.calls.filter(([name]) => name === 'evalsha')).toEqual([])
  })

  /** Sends a command as `send` does, and keeps its promise if it is a check. */
  type Follow = (send: () => unknown, command: unknown) => unknown
  /** In the place of the client's `sendCommand`. */
  const WRAPPERS: readonly {
    name: string
    wrapped(follow: Follow, send: (...given: unknown[]) => unknown): unknown
  }[] = [
    {
      name: 'a function',
      wrapped: (follow, send) =>
        function (this: unknown, ...given: unknown[]): unknown {
          return follow(() => Reflect.apply(send, this, given), given[0])
        },
    },
    {
      name: 'a method',
      wrapped: (follow, send) =>
        ({
          sendCommand(...given: unknown[]): unknown {
            return follow(() => Reflect.apply(send, this, given), given[0])
          },
        }).sendCommand,
    },
  ]

  test.each(WRAPPERS)(
    'whoever puts $name in the place of the client’s sendCommand sees each check with its promise',
    async ({ wrapped }) => {
      const { client, throttle } = open()
      const [first = 0] = await remainingOf(throttle, 1)
      const followed: unknown[] = []
      const send = client.sendCommand
      const follow: Follow = (go, command) => {
        const sent = go()
        if (Reflect.get(Object(command), 'name') === 'evalsha') followed.push(Reflect.get(Object(command), 'promise'))
        return sent
      }
      Reflect.set(
        client,
        'sendCommand',
        wrapped(follow, (...given) => Reflect.apply(send, client, given)),
      )
      expect(await remainingOf(throttle, 3)).toEqual([first - 1, first - 2, first - 3])
      expect(followed).toHaveLength(3)
      const replies = await Promise.all(followed)
      expect(replies.every((reply) => reply instanceof Buffer)).toBe(true)
      Reflect.set(client, 'sendCommand', send)
      expect(await remainingOf(throttle, 1)).toEqual([first - 4])
      expect(followed).toHaveLength(3)
    },
  )

  test('a class that extends the client’s sees each check with its promise', async () => {
    const client = connect()
    const followed: unknown[] = []
    const { sendCommand } = client
    const methods = {
      sendCommand(...given: unknown[]): unknown {
        const sent = Reflect.apply(sendCommand, client, given)
        const [command] = given
        if (Reflect.get(Object(command), 'name') === 'evalsha') followed.push(Reflect.get(Object(command), 'promise'))
        return sent
      },
    }
    // Between the client and its class, where the methods of a class that extends the client's are.
    Object.setPrototypeOf(client, Object.setPrototypeOf(methods, Object.getPrototypeOf(client)))
    const { throttle } = open(client)
    const [first = 0] = await remainingOf(throttle, 1)
    followed.length = 0
    expect(await remainingOf(throttle, 3)).toEqual([first - 1, first - 2, first - 3])
    const replies = await Promise.all(followed)
    expect(replies.filter((reply) => reply instanceof Buffer)).toHaveLength(3)
  })

  // iovalkey has no such channel.
  if (name === 'iovalkey') return

  test('whoever traces the client’s commands sees each check until its reply', async () => {
    const { throttle } = open()
    const [first = 0] = await remainingOf(throttle, 1)
    const replies: unknown[] = []
    const end = (message: unknown): void => {
      const context = Object(message)
      if (Reflect.get(context, 'command') === 'evalsha') replies.push(Reflect.get(context, 'result'))
    }
    const trace = tracingChannel('ioredis:command')
    trace.asyncEnd.subscribe(end)
    onTestFinished(() => {
      trace.asyncEnd.unsubscribe(end)
    })
    expect(await remainingOf(throttle, 3)).toEqual([first - 1, first - 2, first - 3])
    expect(replies).toHaveLength(3)
    expect(replies.every((reply) => reply instanceof Buffer)).toBe(true)
  })
})
