import { createRemoteJWKSet, customFetch, type CompactVerifyGetKey } from 'jose'
import { createBoundedMap } from './bounded-map.ts'
import type { OutboundFetch } from './outbound-fetch.ts'

type KeySetsOptions = {
  readonly fetch: OutboundFetch
  readonly maxEntries?: number
  /** An unknown key id makes the set be fetched again, at most once in this time. */
  readonly cooldownMs: number
}

/** Signing keys by `jwks_uri` (P2); concurrent callers share one fetch, a failed one is forgotten. */
export type KeySets = { find(jwksUri: string): CompactVerifyGetKey }

const lifetimeMs = 10 * 60_000
const deadlineMs = 5_000

export function createKeySets({ fetch, maxEntries = 500, cooldownMs }: KeySetsOptions): KeySets {
  const sets = createBoundedMap<CompactVerifyGetKey>(maxEntries)
  return {
    find(jwksUri) {
      const known = sets.get(jwksUri)
      if (known !== undefined) return known
      const keys = createRemoteJWKSet(new URL(jwksUri), {
        [customFetch]: fetch,
        cooldownDuration: cooldownMs,
        cacheMaxAge: lifetimeMs,
        timeoutDuration: deadlineMs,
      })
      sets.set(jwksUri, keys)
      return keys
    },
  }
}
