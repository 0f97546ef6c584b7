import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { clientIp } from '../../src/http/index.ts'

describe('the address of the connection', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['2001:db8:1:2345:6789::1', '2001:db8:1:2300::/56'],
    ['2001:DB8:1:23FF::', '2001:db8:1:2300::/56'],
    ['fe80::1%eth0', 'fe80::/56'],
  ])('%s is the client %s', (remoteAddress, client) => {
    expect(clientIp({ remoteAddress })).toBe(client)
  })

  test.each([
    ['NAT64', '64:ff9b::192.0.2.1', '64:ff9b::c000:201', '64:ff9b::192.0.2.2'],
    ['an older translation', '::ffff:0:192.0.2.1', '::ffff:0:c000:201', '::ffff:0:192.0.2.2'],
    ['6to4', '2002:c000:201::1', '2002:c000:201:ffff::2', '2002:c000:202::1'],
    [
      'Teredo',
      '2001:0:4136:e378:8000:63bf:3fff:fdfe',
      '2001:0:1:2:0:0:3fff:fdfe',
      '2001:0:4136:e378:8000:63bf:3fff:fdfd',
    ],
    ['the IPv4-compatible form', '::192.0.2.1', '::c000:201', '::192.0.2.2'],
  ])('by %s is its IPv4 client, whatever its leading bits', (_name, one, same, other) => {
    expect(clientIp({ remoteAddress: one })).toBe('192.0.2.1')
    expect(clientIp({ remoteAddress: same }, { ipv6Prefix: 128 })).toBe('192.0.2.1')
    expect(clientIp({ remoteAddress: other })).toBe('192.0.2.2')
  })

  test("by a translator of one's own is a client by itself", () => {
    expect(clientIp({ remoteAddress: '64:ff9b:1::192.0.2.1' })).toBe('64:ff9b:1::c000:201')
    expect(clientIp({ remoteAddress: '64:ff9b:1::192.0.2.2' })).toBe('64:ff9b:1::c000:202')
  })

  test('of IPv6 that only looks like such a one stays a block', () => {
    expect(clientIp({ remoteAddress: '::1' })).toBe('::/56')
    expect(clientIp({ remoteAddress: '64:ff9b:2::192.0.2.1' })).toBe('64:ff9b:2::/56')
    expect(clientIp({ remoteAddress: '2001:1::1' })).toBe('2001:1::/56')
    expect(clientIp({ remoteAddress: '2003:c000:201::1' })).toBe('2003:c000:201::/56')
  })

  test('an IPv6 client is as large a block as one says', () => {
    const remoteAddress = '2001:db8:1:2345::1'
    expect(clientIp({ remoteAddress }, { ipv6Prefix: 64 })).toBe('2001:db8:1:2345::/64')
    expect(clientIp({ remoteAddress }, { ipv6Prefix: 48 })).toBe('2001:db8:1::/48')
    expect(clientIp({ remoteAddress }, { ipv6Prefix: 128 })).toBe('2001:db8:1:2345::1')
  })

  test('is all that counts while no proxy is trusted', () => {
    expect(clientIp({ remoteAddress: '192.0.2.1', forwardedFor: '198.51.100.7' })).toBe('192.0.2.1')
  })

  test.each([undefined, null, '', 'unknown', '010.0.0.1', '1.2.3'])(
    '%o is refused: it would be a key for all',
    (remoteAddress) => {
      expect(() => clientIp({ remoteAddress })).toThrow(TypeError)
    },
  )

  test('is read from a request of Node', async () => {
    const server = createServer((request, response) => response.end(clientIp(request, { trustedProxies: 1 })))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('the server has no port')
      const url = `http://127.0.0.1:${address.port}`
      expect(await (await fetch(url)).text()).toBe('127.0.0.1')
      const headers = { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' }
      expect(await (await fetch(url, { headers })).text()).toBe('198.51.100.7')
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})

describe('a count of trusted proxies', () => {
  const forwardedFor = 'forged, 203.0.113.9 , 198.51.100.7,10.0.0.2'

  test.each([
    [0, '10.0.0.1'],
    [1, '10.0.0.2'],
    [2, '198.51.100.7'],
    [3, '203.0.113.9'],
  ])('takes the word of %i', (trustedProxies, client) => {
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor }, { trustedProxies })).toBe(client)
  })

  test('stops at what cannot be read: no forged text becomes a key', () => {
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor }, { trustedProxies: 9 })).toBe('203.0.113.9')
  })

  test('stops where the claims end', () => {
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor: '192.0.2.1' }, { trustedProxies: 9 })).toBe('192.0.2.1')
    expect(clientIp({ remoteAddress: '10.0.0.1' }, { trustedProxies: 1 })).toBe('10.0.0.1')
  })

  test('counts a proxy on a Unix socket, which has no address', () => {
    expect(clientIp({ forwardedFor: '192.0.2.1' }, { trustedProxies: 1 })).toBe('192.0.2.1')
    expect(() => clientIp({ forwardedFor: '192.0.2.1' })).toThrow(TypeError)
  })
})

describe('a list of trusted proxies', () => {
  const trustedProxies = ['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.99']

  test.each([
    ['10.0.0.1', '203.0.113.9, 198.51.100.7', '198.51.100.7'],
    ['10.0.0.1', '203.0.113.9, 198.51.100.7, 10.9.9.9, 192.0.2.99', '198.51.100.7'],
    ['2001:db8:ffff::1', '203.0.113.9, ::ffff:10.1.2.3', '203.0.113.9'],
    ['::ffff:10.0.0.1', '2001:db8:1:2345::1', '2001:db8:1:2300::/56'],
    ['198.51.100.7', '203.0.113.9', '198.51.100.7'],
    ['10.0.0.1', 'forged, 10.0.0.2', '10.0.0.2'],
    ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ])('from %s with %s: the client is %s', (remoteAddress, forwardedFor, client) => {
    expect(clientIp({ remoteAddress, forwardedFor }, { trustedProxies })).toBe(client)
  })

  test.each(['::ffff:10.0.0.0/104', '::FFFF:0a00:0/104', '::ffff:10.0.0.1', '::ffff:10.0.0.1/128', '::ffff:0:0/96'])(
    'holds IPv4 that is written as IPv6: %s',
    (proxy) => {
      for (const remoteAddress of ['10.0.0.1', '::ffff:10.0.0.1']) {
        expect(clientIp({ remoteAddress, forwardedFor: '2001:db8::1' }, { trustedProxies: [proxy] })).toBe(
          '2001:db8::/56',
        )
      }
      if (proxy.endsWith('/96')) return
      const elsewhere = { remoteAddress: '11.0.0.1', forwardedFor: '2001:db8::1' }
      expect(clientIp(elsewhere, { trustedProxies: [proxy] })).toBe('11.0.0.1')
    },
  )

  test.each(['64:ff9b::10.0.0.1', '2002:a00:1::1', '::10.0.0.1'])(
    'does not hold %s for its IPv4 address: it may be made up',
    (remoteAddress) => {
      expect(clientIp({ remoteAddress, forwardedFor: '192.0.2.1' }, { trustedProxies })).toBe('10.0.0.1')
      expect(clientIp({ remoteAddress, forwardedFor: '192.0.2.1' }, { trustedProxies: [remoteAddress] })).toBe(
        '192.0.2.1',
      )
    },
  )

  test('a port behind an address is passed over', () => {
    const options = { trustedProxies: 1 }
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor: '192.0.2.1:4711' }, options)).toBe('192.0.2.1')
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor: '[2001:db8::1]:4711' }, options)).toBe('2001:db8::/56')
    expect(clientIp({ remoteAddress: '10.0.0.1', forwardedFor: '[2001:db8::1]' }, options)).toBe('2001:db8::/56')
  })
})

test.each([
  [{ trustedProxies: -1 }, RangeError],
  [{ trustedProxies: 1.5 }, RangeError],
  [{ trustedProxies: ['10.0.0.0/33'] }, RangeError],
  [{ trustedProxies: ['loopback'] }, RangeError],
  [{ trustedProxies: ['::ffff:10.0.0.0/95'] }, RangeError],
  [{ ipv6Prefix: 0 }, RangeError],
  [{ ipv6Prefix: 129 }, RangeError],
])('wrong options are refused: %o', (options, error) => {
  expect(() => clientIp({ remoteAddress: '192.0.2.1' }, options)).toThrow(error)
})

test('options of a wrong type are refused', () => {
  // @ts-expect-error: a flag that trusts every sender does not exist.
  expect(() => clientIp({ remoteAddress: '192.0.2.1' }, { trustedProxies: true })).toThrow(TypeError)
  // @ts-expect-error: an address is a text.
  expect(() => clientIp({ remoteAddress: '192.0.2.1' }, { trustedProxies: [10] })).toThrow(TypeError)
})
