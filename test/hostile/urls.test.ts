/** URLs of every wrong kind: refused by an error that shows no password, or read as what they say. No server is asked. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { InvalidStoreUrlError } from 'onrush'
import { expect, test } from 'vitest'
import { readRedisUrl } from '../../src/redis/url.ts'
import { budget, FUZZ_TIMEOUT } from '../support/hostile/budget.ts'

const SECRET = 'hunter2'

const scheme = fc.constantFrom(
  'redis',
  'rediss',
  'redis+unix',
  'redis+cluster',
  'redis+sentinel',
  'REDIS',
  'http',
  '',
  'é',
)
const piece = fc.oneof(
  fc.constantFrom(
    'h1',
    '127.0.0.1',
    '[::1]',
    'h:1',
    ':',
    ',',
    '/',
    '//',
    '?',
    '#',
    '&',
    '=',
    '%',
    '%zz',
    '%00',
    '\n',
    '\0',
  ),
  fc.constantFrom(
    'mymaster',
    '0',
    '-1',
    '1e3',
    '99999999999999999999',
    'prefix=a',
    'timeout=1s',
    'timeout=',
    'shards=0',
  ),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const user = fc.constantFrom(
  '',
  `:${SECRET}@`,
  `me:${SECRET}@`,
  `me:${SECRET}:x@`,
  `a%3Ab:${SECRET}@`,
  `@:${SECRET}@`,
  'me@',
)
const url = fc
  .tuple(scheme, fc.constantFrom('://', ':', ':/', '', ':///'), user, fc.array(piece, { maxLength: 6 }))
  .map(([name, slashes, who, rest]) => name + slashes + who + rest.join(''))

test('are refused without a word of the password, or read', { timeout: FUZZ_TIMEOUT }, () => {
  fc.assert(
    fc.property(url, (text) => {
      try {
        const { servers, db = 0, options } = readRedisUrl(text)
        if (servers.kind === 'server') expect([servers.host]).toSatisfy(areHosts)
        if (servers.kind === 'cluster' || servers.kind === 'sentinel') expect(servers.hosts).toSatisfy(areHosts)
        expect(db).toSatisfy((value: number) => Number.isSafeInteger(value) && value >= 0)
        expect(inspect([servers, options])).not.toContain(SECRET)
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidStoreUrlError)
        expect(inspect(error, { depth: 5, showHidden: true })).not.toContain(SECRET)
      }
    }),
    budget(2000),
  )
})

function areHosts(hosts: readonly { host: string; port: number }[]): boolean {
  return hosts.length > 0 && hosts.every(({ host, port }) => host !== '' && port > 0 && port < 65_536)
}

test.each([
  ['colons', ':'.repeat(1_000_000)],
  ['slashes', `redis:${'/'.repeat(1_000_000)}`],
  ['ats', `redis://${'@'.repeat(1_000_000)}`],
  ['percents', `redis://h/${'%41'.repeat(300_000)}`],
  ['hosts', `redis+cluster://${'h,'.repeat(300_000)}`],
  ['options', `redis://h?${'a=b&'.repeat(300_000)}`],
  ['question marks', `redis://h${'?'.repeat(1_000_000)}`],
  ['letters', `${'a'.repeat(1_000_000)}password=`],
])('a million %s take no longer than reading them does, and are not repeated', (_what, text) => {
  const started = performance.now()
  expect(() => readRedisUrl(text)).toThrow(
    expect.objectContaining({ message: expect.stringMatching(/^Invalid store URL .{1,1000}$/s) }),
  )
  // Where each character were looked at again for each other, it would be hours.
  expect(performance.now() - started).toBeLessThan(5000)
})
