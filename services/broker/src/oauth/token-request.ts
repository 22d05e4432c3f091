import { allowInsecureRequests, ClientError, Configuration, customFetch, genericGrantRequest } from 'openid-client'
import type { OAuthProvider } from '../providers/provider.ts'
import { chooseClientAuthentication } from './client-authentication.ts'
import type { KnownEndpoints } from './find-metadata.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
import type { SendingHooks } from './sending-hooks.ts'
import { ProviderError } from './provider-errors.ts'
import { readTokenAnswer, toPlainTokenResponse, type TokenAnswer } from './token-answer.ts'

type TokenRequest = {
  readonly provider: OAuthProvider
  readonly endpoints: KnownEndpoints
  readonly clientSecret: string | undefined
  readonly grantType: 'authorization_code' | 'refresh_token'
  readonly parameters: Readonly<Record<string, string>>
  readonly hooks?: SendingHooks | undefined
}

export type TokenRequestDependencies = {
  readonly fetch: OutboundFetch
  /** Host time in milliseconds. */
  readonly now: () => number
  /** Milliseconds on the clock of performance.now(). */
  readonly monotonicNow: () => number
}

export type SentTokenRequest = { readonly answer: TokenAnswer; readonly sentAtMs: number }

const deadlineSeconds = 20

/**
 * Sends one token request and reads its answer; never repeats it, because codes and many refresh tokens work once.
 * openid-client writes the request and checks the answer too, after it was brought into the one form that it reads.
 *
 * @throws ProviderError as readTokenAnswer and the outbound fetch do, nothing of the provider's text in it (P5).
 */
export async function sendTokenRequest(
  request: TokenRequest,
  { fetch, now, monotonicNow }: TokenRequestDependencies,
): Promise<SentTokenRequest> {
  const { scopeSeparator, keepTokenFields } = request.provider
  const sent = Promise.withResolvers<SentTokenRequest>()
  const configuration = buildConfiguration(request)
  configuration[customFetch] = async (url, options) => {
    const sentAtMs = monotonicNow()
    const response = await fetch(url, { ...options, hooks: request.hooks })
    const answer = await readTokenAnswer(response, { scopeSeparator, keepTokenFields, nowMs: now() })
    sent.resolve({ answer, sentAtMs })
    return toPlainTokenResponse(answer)
  }
  try {
    await genericGrantRequest(configuration, request.grantType, { ...request.parameters })
  } catch (error) {
    throw translateClientError(error)
  }
  return sent.promise
}

/** How openid-client is told of a provider and of who we are there, for its token and revocation endpoints. */
export function buildConfiguration({
  provider,
  endpoints,
  clientSecret,
}: Pick<TokenRequest, 'provider' | 'endpoints' | 'clientSecret'>): Configuration {
  const server = {
    // openid-client wants an issuer. `.invalid` belongs to nobody (RFC 6761 §6.4), so this one is no provider's.
    issuer: endpoints.issuer ?? `https://${provider.id}.invalid`,
    token_endpoint: endpoints.tokenEndpoint,
    ...(endpoints.revocationEndpoint !== undefined && { revocation_endpoint: endpoints.revocationEndpoint }),
  }
  const authentication = chooseClientAuthentication(provider, clientSecret, endpoints.tokenEndpointAuthMethods)
  const configuration = new Configuration(server, provider.clientId, undefined, authentication)
  // Whether plain http is right is the address guard's to say, which knows the address.
  allowInsecureRequests(configuration)
  configuration.timeout = deadlineSeconds
  return configuration
}

/** openid-client's errors carry answers in their causes: only the ones that we threw ourselves come through (P5). */
export function translateClientError(error: unknown): unknown {
  if (error instanceof ProviderError) return error
  if (error instanceof ClientError && error.cause instanceof ProviderError) return error.cause
  if (error instanceof ClientError && error.code === 'OAUTH_TIMEOUT') {
    return new ProviderError('unavailable', 'no complete answer in time')
  }
  if (error instanceof ClientError && error.code !== undefined) {
    return new ProviderError('invalid_answer', `the endpoint answered outside its RFC (${error.code})`)
  }
  const name = error instanceof Error ? error.name : typeof error
  return new ProviderError('invalid_answer', `the request failed (${name})`)
}
