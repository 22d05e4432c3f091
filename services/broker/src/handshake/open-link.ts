import { type RandomBytes, type StatePurpose, type StateSigner, randomToken, sha256 } from '@nexus/crypto'
import type { PageKind } from '@nexus/service'
import type { Database } from '../db/database.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { type OAuthProvider, type StaticProvider, isStatic } from '../providers/provider.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AttemptSecrets, insertAttempt } from './attempt-store.ts'
import { bindingCookieName, setBindingCookie, usesSecureCookies } from './browser-binding.ts'
import { isProfileUnchanged } from './profile-digest.ts'
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

/** What a page shows whose form comes back to the link it was opened by. */
type FormFacts = {
  /** Goes with the form and stands, with the cookie, for whoever opened the link. */
  readonly state: string
  readonly cookie: string
  readonly returnUrl: string | undefined
}

export type LinkAnswer =
  | { readonly kind: 'redirect'; readonly location: string; readonly cookie: string }
  | ({ readonly kind: 'confirm'; readonly provider: OAuthProvider; readonly scopes: readonly string[] } & FormFacts)
  | ({ readonly kind: 'form'; readonly provider: StaticProvider } & FormFacts)
  | { readonly kind: 'page'; readonly page: PageKind; readonly status: number }

const expired: LinkAnswer = { kind: 'page', page: 'expired-link', status: 410 }

/** Whoever looks for an API key takes longer than whoever signs in. */
const attemptLifetimeSeconds = { atProvider: 600, onPage: 1800 } as const

/**
 * Opens a connect link: makes an attempt of its own (jti, cookie) and sends the browser to the provider, or shows the page
 * that asks first. Previews, scanners, second tabs and reloads open links too, so an opening uses nothing up (H4).
 * @throws ProviderError where the provider's metadata cannot be had: the link stays good.
 */
export async function openLink(deps: OpenLinkDeps, ticket: string): Promise<LinkAnswer> {
  const handshake = await store.selectHandshakeByTicket(deps.database, sha256(ticket))
  if (handshake === undefined) return { kind: 'page', page: 'invalid-link', status: 404 }
  if (handshake.isOver) return { kind: 'page', page: 'already-completed', status: 410 }
  if (handshake.isExpired) return expired

  const provider = await findLivingProvider(deps.database, handshake.providerId)
  if (provider === undefined) return expired
  // the end would refuse it (H8): better said before the person signs in or types
  if (!isProfileUnchanged(provider, deps.redirectUri, handshake)) return expired
  return isStatic(provider) ? showForm(deps, handshake, provider) : leaveFor(deps, handshake, provider)
}

async function showForm(
  deps: OpenLinkDeps,
  handshake: store.HandshakeState,
  provider: StaticProvider,
): Promise<LinkAnswer> {
  const attempt = prepareAttempt(deps, handshake)
  await saveAttempt(deps, attempt, {
    redirectUri: undefined,
    secrets: undefined,
    lifetimeSeconds: attemptLifetimeSeconds.onPage,
  })
  const { returnUrl } = handshake
  return { kind: 'form', provider, returnUrl, state: attempt.signState('capture'), cookie: attempt.cookie('onPage') }
}

async function leaveFor(
  deps: OpenLinkDeps,
  handshake: store.HandshakeState,
  provider: OAuthProvider,
): Promise<LinkAnswer> {
  const { scopes, returnUrl } = handshake
  const attempt = prepareAttempt(deps, handshake)
  const redirectUri = redirectUriOf(provider, deps.redirectUri)
  const secrets = makeSecrets(deps, provider)
  const wanted = { redirectUri, state: attempt.signState('oauth'), scopes, ...secrets }
  const location = handshake.confirm ? undefined : await deps.providerClient.buildAuthorizationUrl(provider, wanted)
  const stay = handshake.confirm ? 'onPage' : 'atProvider'
  await saveAttempt(deps, attempt, { redirectUri, secrets, lifetimeSeconds: attemptLifetimeSeconds[stay] })
  const cookie = attempt.cookie(stay)
  return location === undefined
    ? { kind: 'confirm', provider, scopes, returnUrl, state: attempt.signState('confirm'), cookie }
    : { kind: 'redirect', location: location.href, cookie }
}

function makeSecrets(deps: OpenLinkDeps, provider: OAuthProvider): AttemptSecrets {
  const secret = (): string => randomToken(32, deps.randomBytes)
  return { codeVerifier: provider.pkce === 'required' ? secret() : undefined, nonce: secret() }
}

/** An attempt of this handshake that nobody knows of yet. */
function prepareAttempt(deps: OpenLinkDeps, { handshakeId, connectionId, now }: store.HandshakeState) {
  const jti = randomToken(32, deps.randomBytes)
  const cookieValue = randomToken(32, deps.randomBytes)
  const isSecure = usesSecureCookies(deps.redirectUri)
  const issuedAt = Math.floor(now.getTime() / 1000)
  return {
    row: { id: deps.createId(), handshakeId, jtiHash: sha256(jti), cookieHash: sha256(cookieValue) },
    signState: (purpose: StatePurpose) => deps.signer.sign({ purpose, connectionId, jti, issuedAt }),
    cookie: (kind: keyof typeof attemptLifetimeSeconds) =>
      setBindingCookie(
        { cookieName: bindingCookieName(jti, isSecure), cookieValue },
        isSecure,
        attemptLifetimeSeconds[kind],
      ),
  }
}

async function saveAttempt(
  deps: OpenLinkDeps,
  { row }: ReturnType<typeof prepareAttempt>,
  kept: {
    readonly redirectUri: string | undefined
    readonly secrets: AttemptSecrets | undefined
    readonly lifetimeSeconds: number
  },
): Promise<void> {
  await deps.database.transaction((transaction) => insertAttempt(transaction, deps.vault, { ...row, ...kept }))
}
