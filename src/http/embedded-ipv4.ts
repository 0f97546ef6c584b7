/**
 * IPv6 addresses that stand for an IPv4 client. By their leading bits, which a translator or a tunnel has in common, all such
 * clients would be one. Only the key of a client is found so, never whom to trust: an address of a tunnel may be made up on a
 * link where nobody checks it.
 */
import ipaddr from 'ipaddr.js'

/**
 * The IPv4 client that an address stands for, or the address itself when it stands for one client and it cannot be told
 * which; `undefined`: it is an IPv6 client's.
 */
export function clientBehind(address: ipaddr.IPv6): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const { parts } = address
  const ends = lastTwo(parts)
  for (const [block, ipv4Of] of EMBEDDING) {
    if (address.match(block)) return ipv4Of === undefined ? address : ipv4Of(parts, ends)
  }
  return undefined
}

type Parts = readonly number[]
type Embedded = (parts: Parts, lastTwo: readonly [number, number]) => ipaddr.IPv4 | undefined

const EMBEDDING: readonly (readonly [block: [ipaddr.IPv6, number], ipv4Of: Embedded | undefined])[] = [
  // NAT64 (RFC 6052), as a server that has IPv6 only sees clients that a translator passes on.
  [block('64:ff9b::', 96), (_parts, [high, low]) => ipv4(high, low)],
  // The translator's own prefix (RFC 8215), whose length and so the place of the IPv4 address it alone knows.
  [block('64:ff9b:1::', 48), undefined],
  // The translation before NAT64 (RFC 2765).
  [block('::ffff:0:0:0', 96), (_parts, [high, low]) => ipv4(high, low)],
  // 6to4 (RFC 3056): who has the IPv4 address has all the 65,536 networks behind it.
  [block('2002::', 16), ([, high = 0, low = 0]) => ipv4(high, low)],
  // Teredo (RFC 4380): the server comes first, the client last, each bit turned over.
  [block('2001::', 32), (_parts, [high, low]) => ipv4(high ^ 0xffff, low ^ 0xffff)],
  // IPv4-compatible (RFC 4291, given up): ::1 and what else begins with a zero is no IPv4 client.
  [block('::', 96), (_parts, [high, low]) => (high > 0xff ? ipv4(high, low) : undefined)],
]

function block(address: string, prefix: number): [ipaddr.IPv6, number] {
  return [ipaddr.IPv6.parse(address), prefix]
}

function ipv4(high: number, low: number): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
}

function lastTwo(parts: Parts): [number, number] {
  const [high = 0, low = 0] = parts.slice(-2)
  return [high, low]
}
