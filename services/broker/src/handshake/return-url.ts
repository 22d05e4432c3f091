import { AppError } from '@nexus/service'

/** One entry of ALLOWED_RETURN_DOMAINS: `app.example.com`, `app.example.com:8443` or `*.example.com`. */
export type ReturnDomain =
  | { readonly kind: 'exact'; readonly hostname: string; readonly port: string | undefined }
  | { readonly kind: 'subdomains'; readonly suffix: string }
  | { readonly kind: 'loopback' }

/** The rule when ALLOWED_RETURN_DOMAINS is unset: the public origin's own host, and loopback for development. */
export function defaultReturnDomains(baseUrl: string): readonly ReturnDomain[] {
  const { hostname, port } = new URL(baseUrl)
  return [{ kind: 'exact', hostname, port }, { kind: 'loopback' }]
}

const hostLabel = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/

/** @returns undefined for text that is no entry. */
export function parseReturnDomain(text: string): ReturnDomain | undefined {
  const entry = text.toLowerCase()
  // a wildcard over a whole top-level domain would allow anybody
  if (entry.startsWith('*.')) {
    const suffix = entry.slice(2)
    return hostLabel.test(suffix) && suffix.includes('.') ? { kind: 'subdomains', suffix } : undefined
  }
  const [, hostname, port] = /^([^:/?#@\\\s]+|\[[0-9a-f:]+\])(?::(\d{1,5}))?$/.exec(entry) ?? []
  if (hostname === undefined || !(hostLabel.test(hostname) || hostname.startsWith('['))) return undefined
  return { kind: 'exact', hostname, port }
}

// what URL parsers forgive or read differently: backslashes, white space, control characters
const forgivenByParsers = /[\\\s\p{Cc}]/u

/**
 * Checks where a user is to be sent afterwards (H10): an https URL (http for loopback) without userinfo whose parsed
 * origin is allowed. @throws AppError `return_url_not_allowed`
 */
export function assertReturnUrlAllowed(returnUrl: string, allowed: readonly ReturnDomain[]): void {
  if (!isReturnUrlAllowed(returnUrl, allowed)) {
    throw new AppError(
      'return_url_not_allowed',
      'return_url is not allowed: it must be an absolute https URL (http on loopback) whose host is in ALLOWED_RETURN_DOMAINS of the Broker.',
      {
        details: { field: 'return_url', setting: 'ALLOWED_RETURN_DOMAINS' },
      },
    )
  }
}

export function isReturnUrlAllowed(returnUrl: string, allowed: readonly ReturnDomain[]): boolean {
  if (forgivenByParsers.test(returnUrl) || !/^https?:\/\/[^/]/i.test(returnUrl) || !URL.canParse(returnUrl))
    return false
  const url = new URL(returnUrl)
  if (url.username !== '' || url.password !== '' || hasEmptyUserinfo(returnUrl)) return false
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) return false
  return allowed.some((domain) => matches(url, domain))
}

function matches(url: URL, domain: ReturnDomain): boolean {
  switch (domain.kind) {
    case 'loopback':
      return isLoopback(url.hostname)
    case 'subdomains':
      // one or more labels before the suffix, on the default port
      return url.port === '' && url.hostname.endsWith(`.${domain.suffix}`)
    case 'exact':
      return url.hostname === domain.hostname && url.port === (isDefaultPort(url, domain.port) ? '' : domain.port)
  }
}

function isDefaultPort(url: URL, port: string | undefined): boolean {
  return port === undefined || port === '' || port === (url.protocol === 'https:' ? '443' : '80')
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

export type ReturnParameters = {
  readonly status: 'success' | 'error' | 'completion_required'
  readonly connection_id: string
  readonly provider: string
  readonly error?: string | undefined
  readonly completion_code?: string | undefined
}

/** The return URL with our parameters; its own query survives, save what bears our names. */
export function buildReturnUrl(returnUrl: string, parameters: ReturnParameters): string {
  const url = new URL(returnUrl)
  for (const name of ['status', 'connection_id', 'provider', 'error', 'completion_code'] as const) {
    const value = parameters[name]
    if (value === undefined) url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  return url.href
}

/** `https://@host/` parses to no user at all, and is still written to deceive. */
function hasEmptyUserinfo(returnUrl: string): boolean {
  return /^https?:\/\/[^/?#]*@/i.test(returnUrl)
}
