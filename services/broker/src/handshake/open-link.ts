import { type RandomBytes, type StatePurpose, type StateSigner, randomToken, sha256 } from '@nexus/crypto'
import type { PageKind } from '@nexus/service'
import type { Database, Queryable } from '../db/database.ts'
import type { ProviderClient } from '../oauth/provider-client.ts'
import { findLivingProvider } from '../providers/list-providers.ts'
import { type OAuthProvider, type StaticProvider, isStatic } from '../providers/provider.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { type AttemptSecrets, insertAttempt, selectOpenings } from './attempt-store.ts'
import { bindingCookieName, readBinding, setBindingCookie, usesSecureCookies } from './browser-binding.ts'
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
 * @param cookieHeader - by which a second opening in the same browser is known for one
 * @throws ProviderError where the provider's metadata cannot be had: the link stays good.
 */
export async function openLink(
  deps: OpenLinkDeps,
  ticket: string,
  cookieHeader: string | undefined,
): Promise<LinkAnswer> {
  const handshake = await store.selectHandshakeByTicket(deps.database, sha256(ticket))
  if (handshake === undefined) return { kind: 'page', page: 'invalid-link', status: 404 }
  if (handshake.isOver) return { kind: 'page', page: 'already-completed', status: 410 }
  if (handshake.isExpired) return expired

  const provider = await findLivingProvider(deps.database, handshake.providerId)
  if (provider === undefined) return expired
  // the end would refuse it (H8): better said before the person signs in or types
  if (!isProfileUnchanged(provider, deps.redirectUri, handshake)) return expired
  const attempt = prepareAttempt(deps, handshake, await findBrowser(deps, handshake, cookieHeader))
  return isStatic(provider)
    ? showForm(deps, handshake, provider, attempt)
    : leaveFor(deps, handshake, provider, attempt)
}

/** The cookie value of an opening of this link that the browser carries already; undefined: it has none that is ours. */
async function findBrowser(
  deps: OpenLinkDeps,
  { handshakeId }: store.HandshakeState,
  cookieHeader: string | undefined,
): Promise<string | undefined> {
  if (cookieHeader === undefined) return undefined
  const isSecure = usesSecureCookies(deps.redirectUri)
  const openings = await selectOpenings(deps.database, handshakeId)
  return openings
    .map(({ jtiHash, cookieHash }) => readBinding(cookieHeader, bindingCookieName(jtiHash, isSecure), cookieHash))
    .find((value) => value !== undefined)
}

/** Whether opening the link would lead anywhere but to a page that says why not. */
export async function isLinkOpen(database: Queryable, ticket: string): Promise<boolean> {
  const handshake = await store.selectHandshakeByTicket(database, sha256(ticket))
  return handshake !== undefined && !handshake.isOver && !handshake.isExpired
}

async function showForm(
  deps: OpenLinkDeps,
  handshake: store.HandshakeState,
  provider: StaticProvider,
  attempt: PreparedAttempt,
): Promise<LinkAnswer> {
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
  attempt: PreparedAttempt,
): Promise<LinkAnswer> {
  const { scopes, returnUrl } = handshake
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

type PreparedAttempt = ReturnType<typeof prepareAttempt>

/**
 * An attempt of this handshake that nobody knows of yet. Those in one browser share the value of their cookies, each under a
 * name of its own, and so are known to belong together.
 */
function prepareAttempt(
  deps: OpenLinkDeps,
  { handshakeId, connectionId, now }: store.HandshakeState,
  browser: string | undefined,
) {
  const jti = randomToken(32, deps.randomBytes)
  const jtiHash = sha256(jti)
  const cookieValue = browser ?? randomToken(32, deps.randomBytes)
  const isSecure = usesSecureCookies(deps.redirectUri)
  const issuedAt = Math.floor(now.getTime() / 1000)
  return {
    row: { id: deps.createId(), handshakeId, jtiHash, cookieHash: sha256(cookieValue) },
    signState: (purpose: StatePurpose) => deps.signer.sign({ purpose, connectionId, jti, issuedAt }),
    cookie: (kind: keyof typeof attemptLifetimeSeconds) =>
      setBindingCookie(
        { cookieName: bindingCookieName(jtiHash, isSecure), cookieValue },
        isSecure,
        attemptLifetimeSeconds[kind],
      ),
  }
}

async function saveAttempt(
  deps: OpenLinkDeps,
  { row }: PreparedAttempt,
  kept: {
    readonly redirectUri: string | undefined
    readonly secrets: AttemptSecrets | undefined
    readonly lifetimeSeconds: number
  },
): Promise<void> {
  await deps.database.transaction((transaction) => insertAttempt(transaction, deps.vault, { ...row, ...kept }))
}
