/** The client's address as a key. Which proxies to believe about the address is configured, never guessed. */
import ipaddr from 'ipaddr.js'
import { checkInteger, checkOptions, named } from '../arguments.ts'
import { checkOptionNames, optionNames } from '../option-names.ts'
import { builtin } from '../runtime.ts'
import { clientBehind } from './embedded-ipv4.ts'

/** The parts of a request that tell the client's address. */
export interface RequestOrigin {
  /** The other end of the connection. */
  readonly remoteAddress?: string | null | undefined
  /** The `X-Forwarded-For` field. */
  readonly forwardedFor?: string | null | undefined
}

/** A request of Node: Express's, Koa's `ctx.req`, Fastify's `request.raw`. */
export interface NodeRequestOrigin {
  /** The connection that the request came by. */
  readonly socket: {
    /** The other end of the connection; `undefined` once it has closed. */
    readonly remoteAddress?: string | undefined
  }
  /** The header fields, their names in lower case. */
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined }
}

/** The proxies to trust, and the part of an IPv6 address that identifies a client. */
export interface ClientIpOptions {
  /**
   * The proxies that are trusted to report the address before them: the number of your proxies that every request passes, 0 or more, or
   * their addresses and CIDR blocks. A block of IPv4 may be written as IPv6 (`::ffff:10.0.0.0/104`). Default 0:
   * `X-Forwarded-For` is not read.
   */
  readonly trustedProxies?: number | readonly string[] | undefined
  /** How many leading bits of an IPv6 address make the client, from 1 to 128. Default 56: providers give whole blocks to one customer. */
  readonly ipv6Prefix?: number | undefined
}

const OPTIONS = optionNames<ClientIpOptions>({ trustedProxies: true, ipv6Prefix: true })

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * An IPv4 address, or the IPv6 block that the client belongs to, such as `2001:db8:0:ab00::/56`. IPv4 written as IPv6 is IPv4,
 * and so is an IPv6 address that stands for an IPv4 client: translated by NAT64 (`64:ff9b::/96`), of 6to4 (`2002::/16`) or of
 * Teredo (`2001::/32`). An address of a translator of one's own (`64:ff9b:1::/48`) is a client by itself.
 * @throws TypeError when the address is not known (a closed connection, a Unix socket without a trusted proxy's word),
 * or for options of a wrong type; RangeError for options of a wrong value.
 */
export function clientIp(source: RequestOrigin | NodeRequestOrigin, options: ClientIpOptions = {}): string {
  checkOptionNames('options of clientIp', options, OPTIONS)
  const { trustedProxies = 0, ipv6Prefix = 56 } = options
  checkInteger('ipv6Prefix', ipv6Prefix, 1)
  if (ipv6Prefix > 128) throw new RangeError(`ipv6Prefix must be at most 128, got ${ipv6Prefix}`)
  const isTrusted = trust(trustedProxies)
  const { remoteAddress, forwardedFor } = originOf(source)
  let client = parse(remoteAddress)
  const claims = (forwardedFor ?? '').split(',')
  // Each proxy appends the address that it saw, so the last entry is from the nearest proxy.
  for (let hop = 0; isTrusted(client, hop); hop++) {
    const claim = parse(claims.pop())
    // The next entry is missing or unreadable, so the last readable address stands for all clients behind it.
    if (claim === undefined) break
    client = claim
  }
  if (client === undefined) {
    throw new TypeError(`The client's address is not known: the connection's is ${named(remoteAddress)}`)
  }
  return text(client, ipv6Prefix)
}

/** True if the `hop`th proxy, counted from this server, is trusted. `undefined`: a Unix socket, which has no address. */
type Trust = (address: Address | undefined, hop: number) => boolean

function trust(proxies: number | readonly string[]): Trust {
  if (!Array.isArray(proxies)) {
    checkInteger('trustedProxies', proxies, 0)
    return (_address, hop) => hop < proxies
  }
  const blocks = proxies.map(block)
  return (address) =>
    address !== undefined && blocks.some((one) => address.kind() === one[0].kind() && address.match(one))
}

function block(proxy: unknown): [Address, number] {
  if (typeof proxy !== 'string') throw new TypeError(wrongProxy(proxy))
  if (ipaddr.IPv4.isValidCIDRFourPartDecimal(proxy)) return ipaddr.IPv4.parseCIDR(proxy)
  if (ipaddr.IPv6.isValidCIDR(proxy)) return ipv6Block(proxy)
  const address = parse(proxy)
  if (address === undefined) throw new RangeError(wrongProxy(proxy))
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

/** Turns a block of IPv4 that is written as IPv6 into a block of IPv4, because clients' addresses are converted before matching too. */
function ipv6Block(proxy: string): [Address, number] {
  const [address, prefix] = ipaddr.IPv6.parseCIDR(asRead(proxy))
  if (!address.isIPv4MappedAddress()) return [address, prefix]
  if (prefix >= MAPPED_PREFIX) return [address.toIPv4Address(), prefix - MAPPED_PREFIX]
  throw new RangeError(
    `trustedProxies: a block of IPv4 written as IPv6 has a prefix of ${MAPPED_PREFIX} to 128, got ${named(proxy)}`,
  )
}

/** The length of the prefix before an IPv4 address that is written as IPv6 (`::ffff:0:0/96`). */
const MAPPED_PREFIX = 96

function wrongProxy(proxy: unknown): string {
  return `trustedProxies must be a number of proxies, or addresses and CIDR blocks, got ${named(proxy)}`
}

function originOf(source: RequestOrigin | NodeRequestOrigin): RequestOrigin {
  checkOptions('source of clientIp', source)
  if (!('socket' in source)) return source
  const { socket, headers } = source
  return { remoteAddress: socket.remoteAddress, forwardedFor: headers['x-forwarded-for']?.toString() }
}

const net = builtin('node:net')
const isIPv4: (text: string) => boolean = net?.isIPv4 ?? ((text) => ipaddr.IPv4.isValidFourPartDecimal(text))
const isIPv6: (text: string) => boolean = net?.isIPv6 ?? ((text) => ipaddr.IPv6.isValid(text))

/** An address with a port, as some proxies write: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
const WITH_PORT = /^(?:\[(.+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/

function parse(address: string | null | undefined): Address | undefined {
  const trimmed = address?.trim() ?? ''
  const [, inBrackets, beforePort] = WITH_PORT.exec(trimmed) ?? []
  const bare = inBrackets ?? beforePort ?? trimmed
  if (isIPv4(bare)) return ipaddr.IPv4.parse(bare)
  if (!isIPv6(bare)) return undefined
  const ipv6 = ipaddr.IPv6.parse(asRead(bare))
  return ipv6.isIPv4MappedAddress() ? ipv6.toIPv4Address() : ipv6
}

/** Works around ipaddr.js, which parses `::10.0.0.1` as `::ffff:10.0.0.1`, a different address. */
function asRead(ipv6: string): string {
  return ipv6.replace(/^::(?=\d+\.)/, '::0:')
}

function text(address: Address, prefix: number): string {
  if (!(address instanceof ipaddr.IPv6)) return address.toString()
  const client = clientBehind(address)
  if (client instanceof ipaddr.IPv4) return client.toString()
  const plain = new ipaddr.IPv6(address.parts).toRFC5952String()
  return prefix === 128 || client !== undefined
    ? plain
    : `${ipaddr.IPv6.networkAddressFromCIDR(`${plain}/${prefix}`).toRFC5952String()}/${prefix}`
}
