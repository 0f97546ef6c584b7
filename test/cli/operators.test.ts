/** The commands on a live store in the hands of operators in a hurry, on keys that attackers chose. */
import fc from 'fast-check'
import { ConcurrencyLimiter, MovingWindowLimiter, Quota, RedisStore, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { keyIn, printable } from '../../src/cli/printable.ts'
import { onrush } from '../support/cli/command-line.ts'
import { liveScene } from '../support/cli/live-scene.ts'
import { startCluster } from '../support/servers/cluster.ts'

const { url, admin, store, place, ask: shop } = await liveScene('a*[b]?')
const five = new Throttle({ store, rate: '5/minute', blocks: true })

const RATE = ['--rate', '5/minute']
const EVIL = 'evil\u001b[31m\u009b2J\u202e\\u{1b}'

test('a key is given as it is shown, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (key) => {
      const shown = printable(key, Number.POSITIVE_INFINITY)
      return !/\p{Cc}|\p{Cf}/u.test(shown) && keyIn(shown) === key
    }),
    { examples: [[EVIL], ['\\u{41}'], ['\\\\u{5c}'], ['\\u{110000}'], ['\ud800x']] },
  )
})

test('a key of an attacker writes nothing to the terminal, and can be named and unblocked', async () => {
  await five.check(EVIL, 5)
  await five.block(EVIL, '1 hour')
  const [, shown = ''] = /^(evil\S*) +block/m.exec((await shop('ls', '--blocked')).out) ?? []
  expect(shown).toBe(printable(EVIL))
  for (const args of [
    ['ls', '--limited'],
    ['ls', '--blocked', '--json'],
    ['explain', shown],
    ['peek', shown, ...RATE],
  ]) {
    const { out, error } = await shop(...args)
    expect(error).toBe('')
    expect(out).toContain('evil')
    expect(out).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u)
  }
  const raw = await shop('unblock', EVIL, ...RATE, '--yes')
  expect(raw).toMatchObject({ code: 2, out: '', error: expect.stringMatching(/must hold no control characters.*evil/) })
  expect((await five.peek(EVIL)).blockedUntil).toBeDefined()
  expect(await shop('unblock', shown, ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.peek(EVIL)).blockedUntil).toBeUndefined()
})

test('a key that is blocked is limited, by peek and check too', async () => {
  await shop('block', 'mallory', '1 hour', ...RATE, '--yes')
  expect(await shop('peek', 'mallory', ...RATE)).toMatchObject({
    code: 1,
    out: expect.stringContaining('blocked until'),
  })
  expect(await shop('check', 'mallory', ...RATE, '--yes')).toMatchObject({ code: 1 })
  expect(await shop('peek', 'mallory', ...RATE, '--name', 'other')).toMatchObject({ code: 0 })
})

test('a prefix means itself alone, even if it reads as a pattern', async () => {
  const other = new RedisStore({ url: url, prefix: 'axxb?', timeout: '30s' })
  await using _ = { [Symbol.asyncDispose]: () => other.reset().then(() => other.close()) }
  await new Throttle({ store: other, rate: '5/minute' }).check('other', 5)
  await five.check('mine', 5)
  const { out } = await shop('ls', '--limited', '--json')
  expect(JSON.parse(out)).toMatchObject({ keys: [{ key: 'mine' }], next: null })
})

test('ls looks at a bounded number of keys, others’ too, and goes on from there until all are seen', async () => {
  await admin.eval("for i = 1, 30000 do redis.call('SET', 'other:' .. i, '') end", 0)
  const keys = Array.from({ length: 50 }, (_, index) => `user:${index}`)
  await Promise.all(keys.map((key) => five.check(key, 5)))
  const seen: string[] = []
  let [from, calls] = ['0:0', 0]
  while (from !== '') {
    const { out } = await shop('ls', '--limited', '--scan', '10000', '--limit', '10000', '--from', from, '--json')
    const { keys: listed, next } = JSON.parse(out)
    for (const { key } of listed) seen.push(key)
    from = next ?? ''
    calls++
  }
  await admin.eval("for i = 1, 30000 do redis.call('DEL', 'other:' .. i) end", 0)
  expect(calls).toBeGreaterThanOrEqual(3)
  expect([...new Set(seen)].sort()).toEqual([...keys].sort())
})

test.each<[answer: string, remaining: number]>([
  ['y\n', 5],
  ['YES\n', 5],
  ['n\n', 2],
  ['\n', 2],
  ['', 2],
])('asked whether to forget what a key has used, the answer %j leaves %i of 5', async (answer, remaining) => {
  await five.check('ada', 3)
  const ran = await onrush(['clear', 'ada', ...RATE, ...place], answer, true)
  expect((await five.peek('ada')).remaining).toBe(remaining)
  expect(ran.code).toBe(remaining === 5 ? 0 : 2)
  if (remaining !== 5) expect(ran.error).toContain('nothing was changed, because the answer was not yes')
})

const COMMANDS: readonly string[][] = [
  ['peek', 'ada', ...RATE],
  ['check', 'ada', ...RATE, '--yes'],
  ['refund', 'ada', ...RATE, '--yes'],
  ['clear', 'ada', ...RATE, '--yes'],
  ['block', 'ada', '1m', ...RATE, '--yes'],
  ['unblock', 'ada', ...RATE, '--yes'],
  ['explain', 'ada'],
  ['ls', '--top', 'used'],
  ['doctor'],
  ['watch', '--count', '1'],
  ['bench', '--seconds', '1', '--in-flight', '1', '--keys', '1', '--yes'],
]

test('with --json each command prints JSON, and with an error nothing but the error', async () => {
  await Promise.all(
    COMMANDS.map(async (command) => {
      const { code, out, error } = await shop(...command, '--json')
      expect({ command, code: code <= 1, error }).toEqual({ command, code: true, error: '' })
      expect(JSON.parse(out)).toBeTypeOf('object')
      const failed = await onrush([...command, '--json', '--url', 'redis://:hunter2@127.0.0.1:1'])
      expect(failed).toMatchObject({ code: 3, out: '', error: expect.stringMatching(/^error: cannot reach [^\n]*\n$/) })
      expect(failed.error).not.toContain('hunter2')
    }),
  )
})

test('explain finds small states, permits, and logs of rates that are given, without a look at other keys', async () => {
  await five.check('ada', 5)
  await new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: '9/minute' }).check('ada', 4)
  const permits = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(8) })
  await using _ = await permits.reserve('ada', 3)
  const { states, isComplete } = JSON.parse(
    (await shop('explain', 'ada', '--rate', '9/minute', '--scan', '0', '--json')).out,
  )
  expect(states).toHaveLength(3)
  expect(states).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'gcra:5-1m', used: 5 }),
      expect.objectContaining({ name: 'moving:9-1m', used: 4 }),
      expect.objectContaining({ held: 3, tickets: [expect.objectContaining({ quantity: 3 })] }),
    ]),
  )
  expect(isComplete).toBe(false)
  expect((await shop('explain', 'ada', '--scan', '0')).out).toContain('Not all keys were looked at')
  expect(JSON.parse((await shop('explain', 'ada', '--json')).out)).toMatchObject({ isComplete: true })
})

test('a key of another type counts as none, as it does in decisions', async () => {
  await five.check('ada', 5)
  await admin.hset('a*[b]?:{hash}', 'field', 1)
  await admin.set('a*[b]?:{damaged}', 'not a state')
  expect(await shop('explain', 'hash')).toMatchObject({ code: 0, out: expect.stringContaining('hash has no state') })
  expect(await shop('explain', 'damaged')).toMatchObject({ code: 0, out: expect.stringContaining('has no state') })
  const { out } = await shop('ls', '--limited', '--json')
  expect(JSON.parse(out).keys).toMatchObject([{ key: 'ada' }])
})

test('a list says what it was not allowed to read, and is not empty instead', async () => {
  await five.check('ada', 5)
  await admin.call('ACL', 'SETUSER', 'blind', 'on', '>secret', '~*', '+@all', '-get')
  const blind = url.replace('redis://', 'redis://blind:secret@')
  const ran = await onrush(['ls', '--limited', '--url', blind, '--prefix', 'a*[b]?', '--timeout', '30s'])
  expect(ran).toMatchObject({ code: 3, out: '', error: expect.stringMatching(/^error: NOPERM[^\n]*\n$/) })
})

test.each([
  ['1:0', /must name one of the 1 masters/],
  ['0:18446744073709551616', /must be a position that ls has printed/],
])('ls does not begin at %s, which it has never printed', async (from, error) => {
  expect(await shop('ls', '--limited', '--from', from)).toMatchObject({
    code: 2,
    out: '',
    error: expect.stringMatching(error),
  })
})

test('the commands see all nodes of a cluster', async () => {
  await using cluster = await startCluster({ masters: 2, replicas: 0 })
  const nodes = `redis+cluster://${cluster.nodes.map(({ server }) => server.url.replace('redis://', '')).join(',')}`
  const clustered = new RedisStore({ url: nodes, timeout: '30s' })
  await using _ = { [Symbol.asyncDispose]: () => clustered.close() }
  const limiter = new MovingWindowLimiter({ store: clustered })
  const keys = Array.from({ length: 12 }, (_, index) => `user:${index}`)
  await Promise.all(keys.map((key) => new Throttle({ limiter, rate: '5/minute' }).check(key, 5)))
  await Promise.all(keys.map((key) => new Throttle({ store: clustered, rate: '5/minute' }).check(key, 5)))
  const ask = async (...args: string[]) => {
    const { code, out, error } = await onrush([...args, '--json', '--url', nodes, '--timeout', '30s'])
    expect({ code, error }).toEqual({ code: 0, error: '' })
    return JSON.parse(out)
  }
  const { keys: listed } = await ask('ls', '--limited', '--limit', '1000')
  for (const name of ['gcra:5-1m', 'moving:5-1m']) {
    const found = listed.filter((one: { name: string }) => one.name === name).map(({ key }: { key: string }) => key)
    expect(found.sort()).toEqual([...keys].sort())
  }
  expect((await ask('explain', 'user:7')).states).toHaveLength(2)
  expect(await ask('watch', '--count', '1')).toMatchObject({ keys: 12, policies: [{ limited: 12 }] })
})
