import { equalInConstantTime, sha256 } from '@nexus/crypto'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'

/**
 * Ties an attempt to the browser that opened the link (H4): without its cookie a callback goes no further, so a code that
 * an attacker plants in somebody's browser, or a link that is forwarded half-way, connects nothing
 * (RFC 9700 §4.7).
 */
export type BrowserBinding = { readonly cookieName: string; readonly cookieValue: string }

/** Off on plain-http loopback alone, where no browser would keep such a cookie. */
export function usesSecureCookies({ baseUrl }: Pick<RedirectUriSettings, 'baseUrl'>): boolean {
  return baseUrl.startsWith('https:')
}

/** One cookie per attempt, so that two tabs do not take each other's away. @param jtiHash - SHA-256 of the attempt's jti */
export function bindingCookieName(jtiHash: Buffer, isSecure: boolean): string {
  const name = `nx-${jtiHash.toString('hex').slice(0, 16)}`
  // the prefix makes browsers insist on Secure, Path=/ and no Domain; plain http on loopback cannot have it
  return isSecure ? `__Host-${name}` : name
}

export function setBindingCookie(
  { cookieName, cookieValue }: BrowserBinding,
  isSecure: boolean,
  lifetimeSeconds: number,
): string {
  return `${cookieName}=${cookieValue}; Path=/; Max-Age=${lifetimeSeconds}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
}

export function clearBindingCookie(cookieName: string, isSecure: boolean): string {
  return `${cookieName}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
}

/**
 * What separates cookies (RFC 6265 §4.2.1), and nothing else that passes for a blank: to a browser a no-break space belongs
 * to the name, which then has no prefix, and any subdomain may set it for the whole domain.
 */
const separator = /;[ \t]*/

/** True when the request carries the very cookie of the attempt, once. */
export function carriesBinding(cookieHeader: string | undefined, cookieName: string, cookieHash: Buffer): boolean {
  return readBinding(cookieHeader, cookieName, cookieHash) !== undefined
}

/** The value of the cookie, where it is the attempt's. */
export function readBinding(
  cookieHeader: string | undefined,
  cookieName: string,
  cookieHash: Buffer,
): string | undefined {
  const values = (cookieHeader ?? '')
    .split(separator)
    .filter((pair) => pair.startsWith(`${cookieName}=`))
    .map((pair) => pair.slice(cookieName.length + 1))
  const [value, ...others] = values
  // two of one name mean that somebody else could set one: trust neither
  if (value === undefined || others.length > 0) return undefined
  return equalInConstantTime(sha256(value), cookieHash) ? value : undefined
}
