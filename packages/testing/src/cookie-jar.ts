/** A stored cookie (RFC 6265 §5.3). */
export type Cookie = {
  readonly name: string
  readonly value: string
  readonly domain: string
  /** True if only the very host that set it gets it. */
  readonly hostOnly: boolean
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  readonly sameSite: 'strict' | 'lax' | 'none'
  /** Milliseconds since 1970; Infinity for a session cookie. */
  readonly expiresAt: number
}

export type CookieJar = {
  /** Takes what a response at `url` sets; what a browser would refuse is ignored. */
  readonly store: (url: URL, setCookies: readonly string[]) => void
  /** The Cookie header of a top-level navigation, or '' for none. */
  readonly header: (url: URL, navigation: { readonly method: string; readonly isCrossSite: boolean }) => string
  readonly cookies: () => readonly Cookie[]
  readonly clear: () => void
}

/**
 * Keeps cookies as the strictest of today's browsers: `Secure` needs https even on loopback (Safari), and no SameSite
 * means Lax (Chrome). Ports do not separate cookies (RFC 6265 §8.5).
 */
export function createCookieJar(now: () => number = Date.now): CookieJar {
  const kept = new Map<string, Cookie>()
  const store: CookieJar['store'] = (url, setCookies) => {
    for (const line of setCookies) {
      const cookie = parseCookie(line, url, now())
      if (cookie === undefined) continue
      const key = `${cookie.domain};${cookie.path};${cookie.name}`
      // RFC 6265bis §5.7: plain http cannot replace what https has set
      if (kept.get(key)?.secure === true && url.protocol !== 'https:') continue
      if (cookie.expiresAt <= now()) kept.delete(key)
      else kept.set(key, cookie)
    }
  }
  const living = (): readonly Cookie[] => [...kept.values()].filter((cookie) => cookie.expiresAt > now())
  return {
    store,
    header: (url, navigation) =>
      living()
        .filter((cookie) => matchesUrl(cookie, url) && maySend(cookie, navigation))
        .toSorted((a, b) => b.path.length - a.path.length)
        .map((cookie) => `${cookie.name}=${cookie.value}`)
        .join('; '),
    cookies: living,
    clear: () => kept.clear(),
  }
}

/** Whether two URLs belong to one site: same scheme and same registrable domain, for which two labels stand in here. */
export function isSameSite(a: URL, b: URL): boolean {
  return a.protocol === b.protocol && siteOf(a) === siteOf(b)
}

function siteOf({ hostname }: URL): string {
  return /^[\d.]+$|^\[/.test(hostname) ? hostname : hostname.split('.').slice(-2).join('.')
}

function parseCookie(line: string, url: URL, now: number): Cookie | undefined {
  const [pair = '', ...rest] = line.split(';').map((part) => part.trim())
  const at = pair.indexOf('=')
  if (at < 1) return undefined
  const attributes = new Map(rest.map(parseAttribute))
  const cookie = {
    name: pair.slice(0, at),
    value: pair.slice(at + 1),
    ...readDomain(attributes, url),
    path: readPath(attributes, url),
    secure: attributes.has('secure'),
    httpOnly: attributes.has('httponly'),
    sameSite: readSameSite(attributes),
    expiresAt: readExpiry(attributes, now),
  }
  return isAcceptable(cookie, url) ? cookie : undefined
}

function parseAttribute(part: string): [string, string] {
  const [name = '', ...value] = part.split('=')
  return [name.trim().toLowerCase(), value.join('=').trim()]
}

function readDomain(attributes: Map<string, string>, url: URL): Pick<Cookie, 'domain' | 'hostOnly'> {
  const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase()
  return domain ? { domain, hostOnly: false } : { domain: url.hostname, hostOnly: true }
}

/** RFC 6265 §5.1.4: without a usable Path, the folder of the URL that set it. */
function readPath(attributes: Map<string, string>, url: URL): string {
  const path = attributes.get('path')
  if (path?.startsWith('/')) return path
  return url.pathname.slice(0, Math.max(1, url.pathname.lastIndexOf('/')))
}

function readSameSite(attributes: Map<string, string>): Cookie['sameSite'] {
  const value = attributes.get('samesite')?.toLowerCase()
  return value === 'strict' || value === 'none' ? value : 'lax'
}

/** Max-Age wins over Expires (RFC 6265 §5.3). */
function readExpiry(attributes: Map<string, string>, now: number): number {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0 ? 0 : now + Number(maxAge) * 1000
  const expires = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(expires) ? Infinity : expires
}

/** RFC 6265bis §5.7: the storage rules of Secure, Domain, SameSite=None and the name prefixes. */
function isAcceptable(cookie: Cookie, url: URL): boolean {
  if (cookie.secure && url.protocol !== 'https:') return false
  if (!domainMatches(cookie, url.hostname)) return false
  if (cookie.sameSite === 'none' && !cookie.secure) return false
  const name = cookie.name.toLowerCase()
  if (name.startsWith('__secure-')) return cookie.secure
  if (name.startsWith('__host-')) return cookie.secure && cookie.hostOnly && cookie.path === '/'
  return true
}

function domainMatches(cookie: Pick<Cookie, 'domain' | 'hostOnly'>, host: string): boolean {
  return host === cookie.domain || (!cookie.hostOnly && host.endsWith(`.${cookie.domain}`))
}

function matchesUrl(cookie: Cookie, url: URL): boolean {
  return (
    domainMatches(cookie, url.hostname) &&
    (!cookie.secure || url.protocol === 'https:') &&
    (url.pathname === cookie.path || url.pathname.startsWith(cookie.path.replace(/\/?$/, '/')))
  )
}

/** Lax cookies travel across sites with safe top-level navigations only: never with a provider's form_post. */
function maySend(cookie: Cookie, navigation: { readonly method: string; readonly isCrossSite: boolean }): boolean {
  if (!navigation.isCrossSite || cookie.sameSite === 'none') return true
  return cookie.sameSite === 'lax' && navigation.method === 'GET'
}
