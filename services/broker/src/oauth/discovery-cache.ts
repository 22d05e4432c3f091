import { createBoundedMap } from './bounded-map.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
import { ProviderError } from './provider-errors.ts'
import { readProviderMetadata, type IssuerToDiscover, type ProviderMetadata } from './provider-metadata.ts'
import { readRetryAfterSeconds } from './retry-after.ts'

type DiscoveryCacheOptions = {
  readonly fetch: OutboundFetch
  /** Host time in milliseconds. */
  readonly now: () => number
  /** Milliseconds on a clock that nobody sets: lifetimes are measured with it. */
  readonly monotonicNow: () => number
  readonly maxEntries?: number
}

/** Metadata by issuer (P2). Concurrent callers share one fetch; a failure is told to them and forgotten. */
export type DiscoveryCache = {
  /** @throws ProviderError `unavailable`, `address`, or `invalid_answer` (see readProviderMetadata). */
  find(issuer: IssuerToDiscover): Promise<ProviderMetadata>
  /** Makes the next caller fetch anew, whatever is on its way now. */
  forget(issuer: IssuerToDiscover): void
}

const shortestMs = 5 * 60_000
const longestMs = 24 * 3_600_000
/** Where the document says nothing of its lifetime. */
const usualMs = 3_600_000
const deadlineMs = 8_000

type Entry = { readonly metadata: ProviderMetadata; readonly freshUntil: number }
type Fetched = { readonly document: unknown; readonly lifetimeMs: number }

export function createDiscoveryCache(options: DiscoveryCacheOptions): DiscoveryCache {
  const { monotonicNow, maxEntries = 500 } = options
  const entries = createBoundedMap<Entry>(maxEntries)
  const pending = new Map<string, Promise<ProviderMetadata>>()

  async function discover(key: string, issuer: IssuerToDiscover, isCurrent: () => boolean): Promise<ProviderMetadata> {
    const { document, lifetimeMs } = await fetchDocument(options, issuer.issuer)
    const metadata = readProviderMetadata(document, issuer)
    // After `forget` a newer fetch may have answered first: its entry stays.
    if (isCurrent()) entries.set(key, { metadata, freshUntil: monotonicNow() + lifetimeMs })
    return metadata
  }

  return {
    find(issuer) {
      const key = toKey(issuer)
      const entry = entries.get(key)
      if (entry !== undefined && monotonicNow() < entry.freshUntil) return Promise.resolve(entry.metadata)
      const underway = pending.get(key)
      if (underway !== undefined) return underway
      const isCurrent = (): boolean => pending.get(key) === started
      const started = discover(key, issuer, isCurrent).finally(() => {
        if (isCurrent()) pending.delete(key)
      })
      pending.set(key, started)
      return started
    },
    forget(issuer) {
      entries.delete(toKey(issuer))
      pending.delete(toKey(issuer))
    },
  }
}

function toKey({ issuer, issuerTemplate }: IssuerToDiscover): string {
  return JSON.stringify([issuer, issuerTemplate])
}

/** The OpenID path first (OIDC Discovery §4), then, where there is none, that of RFC 8414 §3.1. */
async function fetchDocument(options: DiscoveryCacheOptions, issuer: string): Promise<Fetched> {
  const signal = AbortSignal.timeout(deadlineMs)
  const [openid, oauth] = listDocumentUrls(issuer)
  const first = await options.fetch(openid, { signal })
  const response = first.status === 404 ? await options.fetch(oauth, { signal }) : first
  if (response.status !== 200) throw refusedDocument(response, options.now())
  try {
    return { document: await response.json(), lifetimeMs: readLifetimeMs(response.headers) }
  } catch {
    // The parser's message quotes the text (P5).
    throw new ProviderError('invalid_answer', 'the metadata of the issuer is not JSON')
  }
}

function listDocumentUrls(issuer: string): readonly [string, string] {
  const { origin, pathname, search } = new URL(issuer)
  if (search !== '') throw new ProviderError('invalid_answer', 'an issuer has no query')
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
}

function refusedDocument(response: Response, nowMs: number): ProviderError {
  const { status } = response
  const retryAfterSeconds = readRetryAfterSeconds(response.headers, nowMs)
  const isTemporary = status === 408 || status === 429 || status >= 500
  return new ProviderError(isTemporary ? 'unavailable' : 'invalid_answer', `no metadata of the issuer (${status})`, {
    status,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  })
}

/** `Cache-Control` within our bounds: too short would hammer the issuer, too long would keep what it withdrew. */
function readLifetimeMs(headers: Headers): number {
  const directives = (headers.get('cache-control') ?? '').toLowerCase()
  if (/\bno-(store|cache)\b/.test(directives)) return shortestMs
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,10})/.exec(directives)?.[1]
  if (maxAge === undefined) return usualMs
  return Math.min(Math.max(Number(maxAge) * 1000, shortestMs), longestMs)
}
