import { isIP, SocketAddress } from 'node:net'
import type { Cidrs } from '@nexus/config'

/**
 * The address a request came from: the socket's peer or, as far as proxies are trusted, what they wrote into
 * `X-Forwarded-For`. Read right to left: each hop is believed only if the one after it is a trusted proxy; the first
 * that is none is the client, whatever stands to its left. An entry that is no address ends the walk at the last
 * address that was believed (duty C3).
 *
 * @param socketAddress - the socket's peer; undefined once it is gone
 * @param forwardedFor - the header's value, several headers joined by commas
 * @returns the address, IPv4-mapped ones as IPv4; `''` if the socket is gone
 */
export function clientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | readonly string[] | undefined,
  trustedProxies: Cidrs,
): string {
  let believed = normalizeAddress(socketAddress ?? '') ?? ''
  if (forwardedFor === undefined) return believed
  const hops = [forwardedFor].flat().join(',').split(',').toReversed()
  for (const hop of hops) {
    if (believed === '' || !trustedProxies.contains(believed)) return believed
    const address = normalizeAddress(withoutPort(hop.trim()))
    if (address === undefined) return believed
    believed = address
  }
  return believed
}

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/

/** One spelling for each address: compressed, lower case, without a zone, IPv4-mapped as IPv4. Undefined if it is none. */
export function normalizeAddress(text: string): string | undefined {
  const address = text.replace(/%.*$/, '')
  if (isIP(address) === 0) return undefined
  if (isIP(address) === 4) return address
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return mapped.exec(canonical)?.[1] ?? canonical
}

/** Some proxies write the client's port too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return /^\[(.*)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(hop)?.[1] ?? hop
}
