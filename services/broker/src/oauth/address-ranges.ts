import { BlockList, isIP, isIPv4 } from 'node:net'

/**
 * `public` anybody may be sent there · `private` an operator's own network, which a switch can open ·
 * `reserved` link-local, metadata, multicast, documentation, transition mechanisms: no provider lives there.
 */
type AddressClass = 'public' | 'private' | 'reserved'

/** One list per family: a shared BlockList compares IPv4 addresses as mapped ones. */
type Ranges = { readonly ipv4: BlockList; readonly ipv6: BlockList }

// RFC 1918, RFC 6598, RFC 1122 §3.2.1.3, RFC 4193, RFC 4291 §2.5.3
const privateRanges = buildRanges(
  ['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  ['::1/128', 'fc00::/7'],
)

// Clouds answer with credentials here, though these lie in private or public blocks: Alibaba, Azure, AWS, Google.
const metadataAddresses = buildRanges(
  ['100.100.100.200/32', '168.63.129.16/32'],
  ['fd00:ec2::254/128', 'fd20:ce::254/128'],
)

// IANA special-purpose registries (RFC 6890).
const reservedRanges = buildRanges(
  [
    '0.0.0.0/8',
    '169.254.0.0/16',
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.88.99.0/24',
    '198.18.0.0/15',
    '198.51.100.0/24',
    '203.0.113.0/24',
    '224.0.0.0/4',
    '240.0.0.0/4',
  ],
  ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
)

const globalUnicast = buildRanges([], ['2000::/3'])

/** What kind of address a textual IP address is; undefined for anything that is no address. */
export function classifyAddress(address: string): AddressClass | undefined {
  const plain = toPlainAddress(address)
  if (plain === undefined) return undefined
  if (isWithin(metadataAddresses, plain)) return 'reserved'
  if (isWithin(privateRanges, plain)) return 'private'
  if (isWithin(reservedRanges, plain)) return 'reserved'
  return isIPv4(plain) || isWithin(globalUnicast, plain) ? 'public' : 'reserved'
}

/**
 * The address a packet would really reach: the IPv4 address inside an IPv4-mapped one (RFC 4291 §2.5.5.2) or one of NAT64
 * (RFC 6052 §2.1: with DNS64 every IPv4-only provider looks like that). Other embeddings, 6to4 and Teredo among
 * them, stay as they are and count as reserved. A zone (`%eth0`) is dropped.
 */
export function toPlainAddress(address: string): string | undefined {
  const text = address.replace(/%.*$/s, '')
  if (isIPv4(text)) return text
  if (isIP(text) !== 6) return undefined
  const groups = readGroups(text)
  const prefix = groups.slice(0, 6).join(':')
  if (prefix !== '0:0:0:0:0:ffff' && prefix !== '64:ff9b:0:0:0:0') return text
  return groups
    .slice(6)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
    .join('.')
}

/** The eight groups of an IPv6 address, in hexadecimal without leading zeros. */
function readGroups(address: string): string[] {
  // The URL parser writes every spelling, dotted tails included, in one canonical form.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right]
}

function buildRanges(ipv4: readonly string[], ipv6: readonly string[]): Ranges {
  const ranges = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const [family, blocks] of [['ipv4', ipv4] as const, ['ipv6', ipv6] as const]) {
    for (const block of blocks) {
      const [network = '', bits] = block.split('/')
      ranges[family].addSubnet(network, Number(bits), family)
    }
  }
  return ranges
}

function isWithin(ranges: Ranges, address: string): boolean {
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  return ranges[family].check(address, family)
}
