import { fromProviderGrant, fromTypedCredentials } from '../connections/activate-connection.ts'
import type { ProviderClient, TokenGrant } from '../oauth/provider-client.ts'
import type { OpenedProvider, StaticProvider } from '../providers/provider.ts'
import { type Accepted, type Conclusion, concludeFrom, concludeHandshake } from './handshake-outcome.ts'
import type { Brought } from './hold-store.ts'
import { type StoreGrantDeps, storeGrant } from './store-grant.ts'

export type FollowThroughDeps = StoreGrantDeps & {
  readonly providerClient: Pick<ProviderClient, 'exchangeCode'>
}

/** What an accepted handshake came to. `elsewhere`: it was not this one's to end; what stands is recorded. */
export type Ending = { readonly kind: 'stored' | 'elsewhere' } | { readonly kind: 'failed'; readonly error: string }

/** A code to be presented, with all that belongs to it. */
export type Presented = Omit<Extract<Brought, { kind: 'code' }>, 'kind'> & { readonly redirectUri: string }

/** Presents the code, once, and stores what it is exchanged for, or that it failed (RFC 6749 §4.1.3). */
export async function exchangeAndStore(
  deps: FollowThroughDeps,
  bound: Accepted,
  { provider, clientSecret }: OpenedProvider,
  { callbackParams, ...presented }: Presented,
): Promise<Ending> {
  const { connectionId, metadata, scopes } = bound.attempt
  let grant: TokenGrant
  try {
    grant = await deps.providerClient.exchangeCode(provider, { clientSecret, scopes, ...presented })
  } catch (error) {
    deps.logger.warn({ err: error, connection_id: connectionId }, 'the code exchange failed')
    return endWithout(deps, bound, concludeFrom(error))
  }
  const placed = { connectionId, provider, askedScopes: scopes, metadata, grant, callbackParams }
  const { refreshToken, accessToken } = grant
  const isStored = await storeGrant(deps, bound, {
    connection: fromProviderGrant(deps, placed),
    tokens: { refreshToken, accessToken },
  })
  return { kind: isStored ? 'stored' : 'elsewhere' }
}

/** Puts what was typed in into the vault. */
export async function storeTyped(
  deps: StoreGrantDeps,
  bound: Accepted,
  provider: StaticProvider,
  { values }: Pick<Extract<Brought, { kind: 'credentials' }>, 'values'>,
): Promise<Ending> {
  const { connectionId, metadata } = bound.attempt
  const connection = fromTypedCredentials({ connectionId, provider, metadata, values })
  const isStored = await storeGrant(deps, bound, { connection, tokens: undefined })
  return { kind: isStored ? 'stored' : 'elsewhere' }
}

/** Ends an accepted handshake without a grant. */
export async function endWithout(deps: StoreGrantDeps, bound: Accepted, conclusion: Conclusion): Promise<Ending> {
  const isConcluded = await concludeHandshake(deps, bound, conclusion)
  return isConcluded ? { kind: 'failed', error: conclusion.returnError } : { kind: 'elsewhere' }
}
