import type { ConnectionRequested } from '@nexus/contracts'
import { type RandomBytes, type StateSigner, randomToken, sha256 } from '@nexus/crypto'
import type { Queryable } from '../db/database.ts'
import { type Provider, isStatic } from '../providers/provider.ts'
import type { RedirectUriSettings } from '../providers/redirect-uri.ts'
import { digestProfile } from './profile-digest.ts'
import * as store from './store.ts'

export type LinkDeps = {
  readonly signer: StateSigner
  readonly createId: () => string
  readonly randomBytes: RandomBytes
  /** Milliseconds since 1970 by the database's clock (R9). */
  readonly databaseNow: () => number
  readonly redirectUri: RedirectUriSettings
  readonly linkTtlSeconds: number
}

/** What a link is to lead to. */
export type WantedLink = Pick<
  store.NewHandshake,
  'connectionId' | 'purpose' | 'scopes' | 'metadata' | 'allowsAccountChange' | 'returnUrl' | 'confirm' | 'completion'
> & { readonly provider: Provider }

export type CreatedLink = WantedLink & {
  readonly handshakeId: string
  /** Known to whoever asked for the link, and stored as a hash only. */
  readonly ticket: string
  /** Of the state that goes with the link. */
  readonly requestJti: string
  readonly expiresAt: Date
}

/** Makes a handshake with its link, in the transaction of what it is for. */
export async function createLink(deps: LinkDeps, transaction: Queryable, wanted: WantedLink): Promise<CreatedLink> {
  const { provider, ...handshake } = wanted
  const handshakeId = deps.createId()
  const ticket = randomToken(32, deps.randomBytes)
  const requestJti = randomToken(32, deps.randomBytes)
  const expiresAt = await store.insertHandshake(transaction, {
    ...handshake,
    id: handshakeId,
    ticketHash: sha256(ticket),
    requestJtiHash: sha256(requestJti),
    profileDigest: digestProfile(provider, deps.redirectUri),
    ttlSeconds: deps.linkTtlSeconds,
  })
  return { ...wanted, handshakeId, ticket, requestJti, expiresAt }
}

/**
 * What whoever asked for the link is answered. The state opens the capture routes where credentials are typed in, and no
 * callback (H3).
 */
export function describeLink(deps: LinkDeps, link: CreatedLink): ConnectionRequested {
  const state = deps.signer.sign({
    purpose: 'request',
    connectionId: link.connectionId,
    jti: link.requestJti,
    issuedAt: Math.floor(deps.databaseNow() / 1000),
  })
  return {
    authUrl: `${deps.redirectUri.baseUrl}/auth/connect/${link.ticket}`,
    connection_id: link.connectionId,
    state,
    scopes: [...link.scopes],
    provider_id: link.provider.id,
    expires_at: link.expiresAt.toISOString(),
  }
}

/** A page says who asks for what, where the request or the profile wants one. What is typed in has a page of its own. */
export function asksToConfirm(provider: Provider, isAsked: boolean | undefined): boolean {
  return !isStatic(provider) && (isAsked === true || provider.confirm)
}
