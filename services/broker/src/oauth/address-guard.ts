import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { classifyAddress, toPlainAddress } from './address-ranges.ts'
import { ProviderError } from './provider-errors.ts'

/** `true`: private and loopback addresses, never metadata or link-local ones. A set of blocks: exactly what it contains. */
export type PrivateNetworks = boolean | { contains(address: string): boolean }

type ResolvedAddress = { readonly address: string; readonly family: number }
export type ResolveName = (hostname: string) => Promise<readonly ResolvedAddress[]>

export type AddressGuardOptions = {
  readonly allowPrivateNetworks: PrivateNetworks
  /** All addresses of a name; the system's resolver by default. */
  readonly resolve?: ResolveName
}

/**
 * Decides where outbound requests may go (P4; OWASP SSRF). Names are judged by the addresses they resolve to, and the
 * same lookup hands those addresses to the socket, so that nothing can change between the check and the connect.
 */
export type AddressGuard = {
  /** Whether a textual IP address may be connected to over https. */
  isAddressAllowed(address: string): boolean
  /**
   * For the moment a URL is saved: http(s) only, no user information, no fragment, and the address, or what the name
   * resolves to now, is allowed. A name that does not resolve yet is accepted: the check at connect time decides.
   *
   * @throws ProviderError of kind `address`, whose message completes "the URL …".
   */
  assertUrlAllowed(url: string): Promise<void>
  /** For the moment before a request: as above, but only what needs no lookup. Returns the parsed URL. */
  parseAllowedUrl(url: string): URL
  /** Refuses a name that leads to a forbidden address; for requests that a proxy resolves again (P4). */
  assertNameAllowed(url: URL): Promise<void>
  /** The pinning lookup of a socket. With `privateOnly`, addresses of the public Internet are refused (plain http). */
  createLookup(options: { readonly privateOnly: boolean }): LookupFunction
}

const resolveAtSaveMs = 3_000

export function createAddressGuard(options: AddressGuardOptions): AddressGuard {
  const { allowPrivateNetworks, resolve = resolveAll } = options

  function isAddressAllowed(address: string): boolean {
    const addressClass = classifyAddress(address)
    if (addressClass === undefined || addressClass === 'public') return addressClass === 'public'
    if (typeof allowPrivateNetworks === 'boolean') return allowPrivateNetworks && addressClass === 'private'
    return allowPrivateNetworks.contains(toPlainAddress(address) ?? address)
  }

  // Plain http shows client secrets and codes to everybody on the way: inside an opened private network only.
  function isAllowedFor(address: string, privateOnly: boolean): boolean {
    return isAddressAllowed(address) && !(privateOnly && classifyAddress(address) === 'public')
  }

  function parseAllowedUrl(text: string): URL {
    const url = parseHttpUrl(text)
    if (isPlain(url) && allowPrivateNetworks === false) throw refused('must use https')
    const literal = readLiteral(url)
    if (literal !== undefined && !isAllowedFor(literal, isPlain(url))) throw refusedAddress(url)
    return url
  }

  async function resolveAllowed(hostname: string, privateOnly: boolean): Promise<readonly ResolvedAddress[]> {
    const addresses = await resolve(hostname)
    if (addresses.length === 0) throw new ProviderError('unavailable', 'the name does not resolve')
    // One bad address condemns the name: an honest provider has none, a rebinding one mixes them.
    if (addresses.every(({ address }) => isAllowedFor(address, privateOnly))) return addresses
    throw refused(whereItLeads(privateOnly))
  }

  return {
    isAddressAllowed,
    parseAllowedUrl,

    async assertUrlAllowed(text) {
      const url = parseAllowedUrl(text)
      if (readLiteral(url) !== undefined) return
      const check = resolveAllowed(url.hostname, isPlain(url)).catch(keepRefusal)
      await Promise.race([check, delay(resolveAtSaveMs, undefined, { ref: false })])
    },

    async assertNameAllowed(url) {
      if (readLiteral(url) === undefined) await resolveAllowed(url.hostname, isPlain(url))
    },

    createLookup({ privateOnly }) {
      return (hostname, { all }, callback) => {
        resolveAllowed(hostname, privateOnly).then(
          (addresses) => {
            const [first] = addresses
            if (all === true) callback(null, [...addresses])
            else callback(null, first?.address ?? '', first?.family)
          },
          (error: unknown) => callback(error instanceof Error ? error : new Error('lookup failed'), '', 0),
        )
      }
    },
  }
}

function parseHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw refused('is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('must use https')
  if (url.username !== '' || url.password !== '') throw refused('must not carry user information')
  // An empty fragment is one too, and `hash` does not show it.
  if (text.includes('#')) throw refused('must not have a fragment')
  return url
}

function isPlain(url: URL): boolean {
  return url.protocol === 'http:'
}

/** The address in the URL, if it has one. The URL parser already turned `0x7f.1`, `①②⑦.1` and the like into dotted form. */
function readLiteral(url: URL): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return isIP(host) === 0 ? undefined : host
}

function keepRefusal(error: unknown): void {
  if (error instanceof ProviderError && error.kind === 'address') throw error
}

function refused(reason: string): ProviderError {
  return new ProviderError('address', reason)
}

function refusedAddress(url: URL): ProviderError {
  return refused(whereItLeads(isPlain(url)))
}

function whereItLeads(privateOnly: boolean): string {
  return privateOnly
    ? 'must use https, or lead to an address that ALLOW_PRIVATE_NETWORKS opens'
    : 'leads to an address that is not allowed (ALLOW_PRIVATE_NETWORKS)'
}

async function resolveAll(hostname: string): Promise<readonly ResolvedAddress[]> {
  return lookup(hostname, { all: true })
}
