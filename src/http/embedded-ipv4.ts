/**
 * IPv6 addresses that embed an IPv4 client's address (NAT64, 6to4, Teredo). All clients of one translator or tunnel share the leading bits,
 * so by a prefix they would count as one client. Used only for a client's key, never for trust, because a tunnel address can be forged.
 */
import ipaddr from 'ipaddr.js'

/**
 * The embedded IPv4 address; or the whole IPv6 address if it embeds an IPv4 address whose position is unknown. `undefined`: an ordinary
 * IPv6 client.
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
  // NAT64 (RFC 6052): IPv4 clients as an IPv6-only server sees them behind a translator.
  [block('64:ff9b::', 96), (_parts, [high, low]) => ipv4(high, low)],
  // A translator's local prefix (RFC 8215). Only the translator knows its length, and so the position of the IPv4 address.
  [block('64:ff9b:1::', 48), undefined],
  // SIIT, the predecessor of NAT64 (RFC 2765).
  [block('::ffff:0:0:0', 96), (_parts, [high, low]) => ipv4(high, low)],
  // 6to4 (RFC 3056): the owner of the IPv4 address has all 65,536 networks behind it.
  [block('2002::', 16), ([, high = 0, low = 0]) => ipv4(high, low)],
  // Teredo (RFC 4380): the client's address is last, with all bits inverted.
  [block('2001::', 32), (_parts, [high, low]) => ipv4(high ^ 0xffff, low ^ 0xffff)],
  // IPv4-compatible (deprecated by RFC 4291). Not `::1` and other addresses whose embedded address would begin with 0.
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
