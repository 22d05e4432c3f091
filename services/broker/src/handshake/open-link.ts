import { type RandomBytes, type StateSigner, randomToken, sha256 } from '@nexus/crypto'
import { AppError, type PageKind } from '@nexus/service'
import type { Database } from '../db/database.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { findProviderById } from '../providers/list-providers.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { bindingCookieName, setBindingCookie } from './browser-binding.ts'
import { digestProfile } from './profile-digest.ts'
import * as store from './store.ts'

export type OpenLinkDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly signer: StateSigner
  readonly createId: () => string
  readonly randomBytes: RandomBytes
  readonly redirectUri: RedirectUriSettings
  readonly providerClient: Pick<ProviderClient, 'buildAuthorizationUrl'>
}

export type LinkAnswer =
  | { readonly kind: 'redirect'; readonly location: string; readonly cookie: string }
  | { readonly kind: 'page'; readonly page: PageKind; readonly status: number }

const expired: LinkAnswer = { kind: 'page', page: 'expired-link', status: 410 }

/**
 * Opens a connect link: makes an attempt of its own (jti, code verifier, nonce, cookie) and sends the browser to the
 * provider. Previews, scanners, second tabs and reloads open links too, so an opening uses nothing up (H4).
 * @throws ProviderError where the provider's metadata cannot be had: the link stays good.
 */
export async function openLink(deps: OpenLinkDeps, ticket: string): Promise<LinkAnswer> {
  const handshake = await store.selectHandshakeByTicket(deps.database, sha256(ticket))
  if (handshake === undefined) return { kind: 'page', page: 'invalid-link', status: 404 }
  if (handshake.isOver) return { kind: 'page', page: 'already-completed', status: 410 }
  if (handshake.isExpired) return expired

  const provider = await findProviderById(deps.database, handshake.providerId).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'provider_not_found') return undefined
    throw error
  })
  if (provider === undefined) return expired
  const redirectUri = redirectUriOf(provider, deps.redirectUri)
  // the callback would refuse it (H8): better said before the person signs in
  if (!digestProfile(provider, redirectUri).equals(handshake.profileDigest)) return expired

  const secret = (): string => randomToken(32, deps.randomBytes)
  const jti = secret()
  const cookieValue = secret()
  const secrets = { codeVerifier: provider.pkce === 'required' ? secret() : undefined, nonce: secret() }
  const state = deps.signer.sign({
    purpose: 'oauth',
    connectionId: handshake.connectionId,
    jti,
    issuedAt: Math.floor(handshake.now.getTime() / 1000),
  })
  const location = await deps.providerClient.buildAuthorizationUrl(provider, {
    redirectUri,
    state,
    scopes: handshake.scopes,
    ...secrets,
  })
  const attempt = {
    id: deps.createId(),
    handshakeId: handshake.handshakeId,
    jtiHash: sha256(jti),
    cookieHash: sha256(cookieValue),
    redirectUri,
    secrets,
  }
  await deps.database.transaction((transaction) => store.insertAttempt(transaction, deps.vault, attempt))

  const isSecure = deps.redirectUri.baseUrl.startsWith('https:')
  const cookie = setBindingCookie({ cookieName: bindingCookieName(jti, isSecure), cookieValue }, isSecure)
  return { kind: 'redirect', location: location.href, cookie }
}
