import { customFetch, tokenRevocation } from 'openid-client'
import type { OAuthProvider } from '../providers/provider.ts'
import { type KnownEndpoints, findKnownEndpoints } from './find-metadata.ts'
import type { DiscoveryCache } from './discovery-cache.ts'
import { type OutboundFetch, abortable } from './outbound-fetch.ts'
import type { RevocationOutcome, RevocationRequest } from './provider-client.ts'
import { ProviderError, blamesClient } from './provider-errors.ts'
import { readRetryAfterSeconds } from './retry-after.ts'
import { cleanErrorCode, parseFields } from './token-answer.ts'
import { buildConfiguration, translateClientError } from './token-request.ts'

export type RevocationDependencies = {
  readonly fetch: OutboundFetch
  readonly discovery: DiscoveryCache
  /** Host time in milliseconds. */
  readonly now: () => number
}

/**
 * Revokes one token at its provider (RFC 7009 §2.1), the client authenticated as at the token endpoint.
 * A profile that says `revocation: none`, and a provider without a revocation endpoint, are not asked.
 * @returns what became of it; it throws nothing that a provider or the network does, and repeats none of their text (P5).
 */
export async function revokeToken(
  dependencies: RevocationDependencies,
  provider: OAuthProvider,
  request: RevocationRequest,
): Promise<RevocationOutcome> {
  if (provider.revocation === 'none') return { kind: 'unsupported' }
  try {
    // metadata are fetched for all who ask, so the deadline of one of them ends its waiting and not the fetch
    const endpoints = await abortable(findKnownEndpoints(provider, dependencies.discovery), request.signal)
    if (endpoints.revocationEndpoint === undefined) return { kind: 'unsupported' }
    return await sendRevocation(dependencies, provider, endpoints, request)
  } catch (error) {
    if (error instanceof ProviderError) return toTransient(error)
    if (request.signal.aborted) return { kind: 'transient', reason: 'unavailable', retryAfterSeconds: undefined }
    throw error
  }
}

async function sendRevocation(
  { fetch, now }: RevocationDependencies,
  provider: OAuthProvider,
  endpoints: KnownEndpoints,
  { clientSecret, token, tokenTypeHint, signal }: RevocationRequest,
): Promise<RevocationOutcome> {
  const read = Promise.withResolvers<RevocationOutcome>()
  const configuration = buildConfiguration({ provider, endpoints, clientSecret })
  configuration[customFetch] = async (url, options) => {
    const response = await fetch(url, { ...options, signal: AbortSignal.any([signal, options.signal ?? signal]) })
    read.resolve(await readRevocationAnswer(response, now()))
    // openid-client writes the request; what was answered is told apart here, where nothing of it is kept
    return new Response(null, { status: 200 })
  }
  try {
    await tokenRevocation(configuration, token, { token_type_hint: tokenTypeHint })
  } catch (error) {
    throw translateClientError(error)
  }
  return read.promise
}

/** RFC 7009 §2.2: 200 says it all, for tokens that were invalid already too. An `error` inside a 200 is one (P3). */
async function readRevocationAnswer(response: Response, nowMs: number): Promise<RevocationOutcome> {
  const { status, headers } = response
  const fields = parseFields(await response.text(), headers.get('content-type') ?? '')
  const error = cleanErrorCode(fields?.['error'])
  const later = (reason: string): RevocationOutcome => {
    return { kind: 'transient', reason, retryAfterSeconds: readRetryAfterSeconds(headers, nowMs) }
  }
  if (status === 408 || status === 429 || status >= 500) return later(error ?? `http_${status}`)
  if (error === 'unsupported_token_type') return { kind: 'unsupported' }
  // its operator may mend the profile before we give up, so the token stays owed
  if (error !== undefined) return blamesClient(error) ? later(error) : { kind: 'refused', error }
  // a page of somebody in between says nothing of the token
  return response.ok ? { kind: 'done' } : later(`http_${status}`)
}

function toTransient({ kind, oauthError, status, retryAfterSeconds }: ProviderError): RevocationOutcome {
  const reason = oauthError ?? (status === undefined ? kind : `http_${status}`)
  return { kind: 'transient', reason, retryAfterSeconds }
}
