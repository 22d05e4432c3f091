import { BlockList, SocketAddress, isIP, isIPv4 } from 'node:net'

/** A set of address blocks. */
export type Cidrs = {
  /** True when no block is in the set, so that `contains` is false for every address. */
  readonly isEmpty: boolean
  /**
   * Whether a textual IP address lies in one of the blocks. IPv4-mapped IPv6 (`::ffff:10.0.0.1`, `::ffff:a00:1`)
   * counts as the IPv4 address it carries; a zone (`fe80::1%eth0`) is ignored; anything that is no address is outside.
   */
  contains(address: string): boolean
}

/**
 * Reads comma-separated CIDR blocks and single addresses, such as `10.0.0.0/8, ::1`. Bits beyond the prefix are ignored.
 *
 * @throws RangeError naming the position (never the text) of an item that is neither a block nor an address.
 */
export function parseCidrs(text: string): Cidrs {
  const items = text.split(',').map((item) => item.trim())
  const blocks = items.filter((item) => item !== '').map(parseBlock)
  // One list per family: a shared BlockList lets `::/0` match every IPv4 address, because it compares them as mapped.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const { address, family, prefix } of blocks) lists[family].addSubnet(address, prefix, family)

  return Object.freeze({
    isEmpty: blocks.length === 0,
    contains(address: string): boolean {
      const host = parseAddress(address)
      return host !== undefined && lists[host.family].check(host.address, host.family)
    },
  })
}

type Address = { readonly address: string; readonly family: 'ipv4' | 'ipv6' }
type Block = Address & { readonly prefix: number }

function parseBlock(item: string, index: number): Block {
  const [text = '', prefixText, ...rest] = item.split('/')
  const host = parseAddress(text)
  if (host === undefined || text.includes('%') || rest.length > 0) throw notABlock(index)

  const isMapped = host.family === 'ipv4' && !isIPv4(text)
  const widest = host.family === 'ipv6' || isMapped ? 128 : 32
  if (prefixText !== undefined && !/^(0|[1-9]\d{0,2})$/.test(prefixText)) throw notABlock(index)
  const prefix = prefixText === undefined ? widest : Number(prefixText)
  // A mapped block wider than /96 reaches out of the IPv4 space: there is no IPv4 block that says the same.
  if (prefix > widest || (isMapped && prefix < 96)) throw notABlock(index)
  return { ...host, prefix: isMapped ? prefix - 96 : prefix }
}

function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { address: text, family: 'ipv4' }
  if (isIP(text) !== 6) return undefined
  // SocketAddress writes every spelling of a mapped address in its dotted form.
  const { address } = new SocketAddress({ address: text.replace(/%.*$/, ''), family: 'ipv6' })
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1]
  return mapped === undefined ? { address, family: 'ipv6' } : { address: mapped, family: 'ipv4' }
}

function notABlock(index: number): RangeError {
  return new RangeError(`item ${index + 1} is neither an IP address nor a CIDR block`)
}
