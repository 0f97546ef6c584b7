/** The commands that ask a live store, on a real server. */
import { ConcurrencyLimiter, FixedWindowLimiter, MovingWindowLimiter, Quota, Throttle } from 'onrush'
import { expect, test } from 'vitest'
import { onrush } from '../support/cli/command-line.ts'
import { liveScene } from '../support/cli/live-scene.ts'
import { readPage } from '../support/docs/snippets.ts'

const { url: server, admin, store, ask: shop } = await liveScene('shop')

const RATE = ['--rate', '5/minute']

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { out, error } = await shop(...args, '--json')
  expect(error).toBe('')
  return JSON.parse(out)
}

function throttle(rate: string): Throttle {
  return new Throttle({ store, rate })
}

test('peek tells what a key may do and spends nothing; its code tells whether the key is limited', async () => {
  await throttle('5/minute').check('ada', 3)
  for (let turn = 0; turn < 2; turn++) {
    expect(await json('peek', 'ada', ...RATE)).toMatchObject({ key: 'ada', limited: false, remaining: 2, limit: 5 })
  }
  expect(await shop('peek', 'ada', ...RATE)).toMatchObject({
    code: 0,
    out: expect.stringContaining('ada is not limited'),
  })
  await throttle('5/minute').check('ada', 2)
  expect(await shop('peek', 'ada', ...RATE)).toMatchObject({ code: 1, out: expect.stringContaining('ada is limited') })
})

test('check, refund and clear change the key as a program does', async () => {
  const five = throttle('5/minute')
  expect(await shop('check', 'ada', '4', ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.peek('ada')).remaining).toBe(1)
  expect(await shop('check', 'ada', '4', ...RATE, '--yes')).toMatchObject({ code: 1 })
  expect(await shop('refund', 'ada', '2', ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.peek('ada')).remaining).toBe(3)
  expect(await shop('clear', 'ada', ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.peek('ada')).remaining).toBe(5)
})

test('a command that changes something asks, and where nobody can be asked changes nothing', async () => {
  expect(await shop('check', 'ada', ...RATE)).toMatchObject({ code: 2, error: expect.stringContaining('Give --yes') })
  expect((await throttle('5/minute').peek('ada')).remaining).toBe(5)
})

test('explain tells every state of a key, whatever its algorithm, and who holds permits', async () => {
  const vendor = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(8) })
  await using permit = await vendor.reserve('ada {1}', 3)
  expect(permit.result.limited).toBe(false)
  await throttle('5/minute; 100/day').check('ada {1}', 2)
  await new Throttle({ limiter: new FixedWindowLimiter({ store }), rate: '7/hour name plan' }).check('ada {1}')
  await new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: '9/minute' }).check('ada {1}', 4)
  await throttle('5/minute').check('ada', 5)
  const { states } = await json('explain', 'ada {1}')
  expect(states).toHaveLength(5)
  expect(states).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'gcra:5-1m', used: 2, remaining: 3 }),
      expect.objectContaining({ name: 'gcra:100-1d', used: 2, remaining: 98 }),
      expect.objectContaining({ name: 'fixed:plan-1h', quota: '7/1h name plan', used: 1, remaining: 6 }),
      expect.objectContaining({ name: 'moving:9-1m', used: 4, remaining: 5 }),
      expect.objectContaining({
        name: expect.stringMatching(/^concurrency:/),
        used: 3,
        held: 3,
        waiting: 0,
        tickets: [expect.objectContaining({ quantity: 3, waits: false })],
      }),
    ]),
  )
  expect((await shop('explain', 'ada {1}')).out).toMatch(/holder \d+ ticket \d+ holds 3 until/)
  expect((await shop('explain', 'nobody')).out).toContain('nobody has no state')
})

test('a long key is given whole, and shown by its start and a digest', async () => {
  const key = `session:${'x'.repeat(5000)}`
  await throttle('5/minute').check(key, 5)
  await new Throttle({ limiter: new MovingWindowLimiter({ store }), rate: '9/minute' }).check(key, 4)
  const { states } = await json('explain', key)
  expect(states).toMatchObject([
    { name: 'gcra:5-1m', used: 5 },
    { name: 'moving:9-1m', used: 4 },
  ])
  const [listed] = keysIn((await json('ls', '--limited')).keys)
  expect(listed?.key).toMatch(/^session:x{92}%….{43}$/)
})

test('a state whose name is lost is shown by its number, and by --rate', async () => {
  await throttle('5/minute').check('ada', 2)
  await admin.del('shop:names')
  expect((await json('explain', 'ada')).states).toEqual([
    expect.objectContaining({ name: expect.stringMatching(/^\d+$/) }),
  ])
  expect((await json('explain', 'ada', ...RATE)).states).toMatchObject([{ name: 'gcra:5-1m', used: 2 }])
})

test('ls lists limited keys, and goes on where it has ended', async () => {
  const five = throttle('5/minute')
  await Promise.all(Array.from({ length: 60 }, (_, index) => five.check(`key ${index}`, index % 2 === 0 ? 5 : 1)))
  const found: string[] = []
  let from = '0:0'
  for (let turn = 0; turn < 100 && from !== 'null'; turn++) {
    const { keys, next } = await json('ls', '--limited', '--limit', '7', '--scan', '1', '--from', from)
    for (const { key } of keysIn(keys)) found.push(key)
    from = String(next)
  }
  expect(new Set(found)).toEqual(new Set(Array.from({ length: 30 }, (_, index) => `key ${index * 2}`)))
})

test('ls lists the keys that have used most, and those that hold permits', async () => {
  const hundred = throttle('100/minute')
  await Promise.all(Array.from({ length: 50 }, (_, index) => hundred.check(`key ${index}`, index + 1)))
  const { keys } = await json('ls', '--top', 'used', '--limit', '3')
  expect(keysIn(keys).map(({ key }) => key)).toEqual(['key 49', 'key 48', 'key 47'])
  const vendor = new Throttle({ limiter: new ConcurrencyLimiter({ store }), rate: Quota.concurrent(2) })
  await using permit = await vendor.reserve('vendor')
  expect(permit.result.limited).toBe(false)
  expect(keysIn((await json('ls', '--holding')).keys)).toMatchObject([{ key: 'vendor', held: 1, waiting: 0 }])
})

function keysIn(keys: unknown): { key: string }[] {
  return Array.isArray(keys) ? keys : []
}

test('block and unblock act in every process, ls lists who is blocked, and explain says until when', async () => {
  const five = new Throttle({ store, rate: '5/minute', blocks: true })
  expect(await shop('block', 'mallory', '1 hour', ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.check('mallory')).blockedUntil).toBeInstanceOf(Date)
  const listed = keysIn((await json('ls', '--blocked')).keys)
  expect(listed).toEqual([expect.objectContaining({ key: 'mallory', blockedUntil: expect.stringMatching(/^20/) })])
  expect((await shop('explain', 'mallory')).out).toMatch(/block:5-1m {2}- {5}- {5}- {2}.*blocked until 20/)
  expect(await shop('unblock', 'mallory', ...RATE, '--yes')).toMatchObject({ code: 0 })
  expect((await five.check('mallory')).limited).toBe(false)
  expect(keysIn((await json('ls', '--blocked')).keys)).toEqual([])
})

test('a block goes by its name, as ls and explain show it, and unblock tells which blocks of the key last', async () => {
  await shop('block', 'eve', '1 hour', '--rate', '5/minute name login', '--yes')
  await shop('block', 'eve', '1 hour', '--name', 'abuse', '--yes')
  const wrong = await shop('unblock', 'eve', ...RATE, '--yes')
  expect(wrong.out).toMatch(/eve is still blocked until 20.* by block:login: give --name 'login' to lift that/)
  expect(wrong.out).toMatch(/by block:abuse: give --name 'abuse'/)
  expect(await json('unblock', 'eve', '--name', 'login', '--yes')).toEqual({
    key: 'eve',
    limited: false,
    stillBlocked: [{ name: 'block:abuse', until: expect.stringMatching(/^20/) }],
  })
  const last = await shop('unblock', 'eve', '--name', 'abuse', '--yes')
  expect(last).toMatchObject({ code: 0, out: 'eve is not blocked under this name\n' })
  expect(keysIn((await json('ls', '--blocked')).keys)).toEqual([])
})

test('doctor finds nothing wrong with a server of defaults, and says what is', async () => {
  expect(await shop('doctor')).toMatchObject({ code: 0, out: expect.stringContaining('scripts run') })
  await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
  try {
    const { out } = await shop('doctor')
    expect(out).toMatch(/warning\s+eviction policy\s+allkeys-lru/)
    expect(out).toContain('use noeviction, or an LFU policy')
  } finally {
    await admin.config('SET', 'maxmemory-policy', 'noeviction')
  }
})

test('watch tells calls a second, and of each policy how many keys are limited', async () => {
  await throttle('5/minute').check('ada', 5)
  const { out } = await shop('watch', '--count', '1', '--json')
  const seen = JSON.parse(out)
  expect(seen).toMatchObject({ policies: [{ name: 'gcra:5-1m', used: 1, limited: 1 }] })
  expect(seen.callsPerSecond).toBeGreaterThanOrEqual(0)
})

test('bench measures on keys of its own', async () => {
  await throttle('5/minute').check('ada', 5)
  const figures = await json('bench', '--seconds', '1', '--in-flight', '16', '--keys', '50', '--yes')
  expect(figures.decided).toBeGreaterThan(10)
  expect((await throttle('5/minute').peek('ada')).remaining).toBe(0)
})

test('the commands that only read run under the line of an ACL that docs/operating.md shows, and change nothing', async () => {
  const [, line = ''] = /^user (reader .*)$/m.exec(readPage('docs/operating.md')) ?? []
  await admin.call('ACL', 'SETUSER', ...line.replace('~onrush:', '~shop:').split(' '))
  await throttle('5/minute').check('ada', 5)
  const url = server.replace('redis://', 'redis://reader:secret@')
  const read = (...args: string[]) => onrush([...args, '--url', url, '--prefix', 'shop', '--timeout', '30s'])
  expect(await read('peek', 'ada', ...RATE)).toMatchObject({ code: 1, error: '' })
  expect(await read('explain', 'ada')).toMatchObject({ code: 0, error: '' })
  expect(await read('ls', '--limited')).toMatchObject({ code: 0, out: expect.stringContaining('ada') })
  expect(await read('watch', '--count', '1')).toMatchObject({ code: 0, error: '' })
  expect(await read('doctor')).toMatchObject({ code: 0, out: expect.stringContaining('reader may only read') })
  for (const args of [
    ['clear', 'ada'],
    ['check', 'ada'],
    ['refund', 'ada'],
    ['block', 'ada', '1m'],
    ['unblock', 'ada'],
  ]) {
    expect(await read(...args, ...RATE, '--yes')).toMatchObject({
      code: args[0] === 'check' ? 1 : 3,
      out: expect.any(String),
    })
  }
  expect((await throttle('5/minute').peek('ada')).remaining).toBe(0)
})

test.each<[what: string, args: string[], code: number, error: RegExp]>([
  ['no URL', ['peek', 'ada', ...RATE], 2, /give --url, or set ONRUSH_URL/],
  ['a URL of another kind', ['peek', 'ada', ...RATE, '--url', 'http://x'], 2, /RedisStore takes redis:/],
  [
    'a URL without a server',
    ['peek', 'ada', ...RATE, '--url', 'redis://127.0.0.1:1'],
    3,
    /cannot reach redis:\/\/127.0.0.1:1: .*ECONNREFUSED/,
  ],
  [
    'a password in the URL, which is not shown',
    ['doctor', '--url', 'redis://:hunter2@127.0.0.1:1'],
    3,
    /cannot reach (?!.*hunter2)/,
  ],
])('%s ends with a clear line and changes nothing', async (_what, args, code, error) => {
  const ran = await onrush(args)
  expect(ran).toMatchObject({ code, out: '', error: expect.stringMatching(error) })
  expect(ran.error).not.toMatch(/^\s+at /m)
})

test.each<[what: string, args: string[], error: RegExp]>([
  ['no rate', ['peek', 'ada'], /give --rate/],
  ['a name of blocks that cannot be', ['unblock', 'ada', '--name', 'a b'], /--name: name of blocks must/],
  ['no name of a block', ['unblock', 'ada'], /or --name/],
  ['a rate that cannot be read', ['peek', 'ada', '--rate', '5/fortnight'], /--rate: quota must be/],
  ['an empty key', ['peek', '', ...RATE], /key must not be empty/],
  ['a quantity that is none', ['check', 'ada', '1.5', ...RATE, '--yes'], /quantity must be a whole number/],
  ['a block of no length', ['block', 'ada', 'x', ...RATE, '--yes'], /duration|length/],
  ['two filters', ['ls', '--limited', '--holding'], /one of --limited, --blocked, --holding/],
  ['a position that is none', ['ls', '--limited', '--from', 'x'], /--from must be a position/],
])('%s ends with code 2 and a clear line', async (_what, args, error) => {
  expect(await shop(...args)).toMatchObject({ code: 2, out: '', error: expect.stringMatching(error) })
})
