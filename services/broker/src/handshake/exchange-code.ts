import { fromProviderGrant } from '../connections/activate-connection.ts'
import type { ProviderClient, TokenGrant } from '../oauth/provider-client.ts'
import type { OpenedProvider } from '../providers/provider.ts'
import { type Accepted, type Conclusion, concludeFrom } from './handshake-outcome.ts'
import type { HeldCode } from './hold-store.ts'
import { type StoreGrantDeps, storeGrant } from './store-grant.ts'

export type ExchangeDeps = StoreGrantDeps & { readonly providerClient: Pick<ProviderClient, 'exchangeCode'> }

export type ExchangeOutcome =
  | { readonly kind: 'stored' }
  /** The handshake ended otherwise meanwhile; what it was granted was turned away. */
  | { readonly kind: 'turned_away' }
  | { readonly kind: 'failed'; readonly conclusion: Conclusion }

/** Presents a code, once, and stores what it is exchanged for (RFC 6749 §4.1.3). The attempt is accepted: it is followed through. */
export async function exchangeCode(
  deps: ExchangeDeps,
  bound: Accepted,
  { provider, clientSecret }: OpenedProvider,
  { callbackParams, ...presented }: HeldCode,
): Promise<ExchangeOutcome> {
  const { connectionId, scopes, metadata } = bound.attempt
  let grant: TokenGrant
  try {
    grant = await deps.providerClient.exchangeCode(provider, { clientSecret, scopes, ...presented })
  } catch (error) {
    deps.logger.warn({ err: error, connection_id: connectionId }, 'the code exchange failed')
    return { kind: 'failed', conclusion: concludeFrom(error) }
  }
  const placed = { connectionId, provider, askedScopes: scopes, metadata, grant, callbackParams }
  const { refreshToken, accessToken } = grant
  const isStored = await storeGrant(deps, bound, {
    connection: fromProviderGrant(deps, placed),
    tokens: { refreshToken, accessToken },
  })
  return { kind: isStored ? 'stored' : 'turned_away' }
}
