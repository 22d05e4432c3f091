import type { ConnectionRequested, ReconnectRequest } from '@nexus/contracts'
import { AppError, invalidField } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { prolongPendingConnection } from '../connections/activate-connection.ts'
import { type HeldConnection, holdForReconnect } from '../connections/replace-grant.ts'
import type { Database, Queryable } from '../db/database.ts'
import { findProviderForHandshake } from '../providers/list-providers.ts'
import { type Provider, isStatic } from '../providers/provider.ts'
import { holdZones } from '../zones/hold-zones.ts'
import { type CreatedLink, type LinkDeps, asksToConfirm, createLink, describeLink } from './create-link.ts'
import { type IdempotentRequest, claimKey, findEarlier, identifyRequest, retryLostRace } from './idempotency.ts'
import { type ReturnDomain, assertReturnUrlAllowed } from './return-url.ts'
import { decideScopes } from './scopes.ts'
import * as store from './store.ts'

export type BeginReconnectDeps = LinkDeps & {
  readonly database: Database
  readonly returnDomains: readonly ReturnDomain[]
}

export type ReconnectionRequest = {
  readonly connectionId: string
  readonly wanted: ReconnectRequest
  readonly idempotencyKey: string | undefined
  readonly origin: Origin
}

/**
 * Starts a reconnect: a link by which the person of a connection consents anew.
 *
 * The connection stays as it is, its token served and refreshed, until the new grant is there; what the request asks for
 * waits in the handshake. One that still waits for its first grant gets a new link for that. Either way the links that were
 * given out before open nothing any more, and what is under way on one of them completes nothing.
 * @throws AppError `invalid_request` where it would weaken the connection's `completion`; `connection_not_found`,
 *   `connection_not_active` for a revoked one, `provider_not_found` where the profile was removed, `zone_not_found` where the
 *   zone was, `scope_not_allowed`, `return_url_not_allowed`, `idempotency_mismatch`, `already_completed`
 */
export async function beginReconnect(
  deps: BeginReconnectDeps,
  request: ReconnectionRequest,
): Promise<ConnectionRequested> {
  const { connectionId, wanted, idempotencyKey, origin } = request
  if (wanted.return_url !== undefined) assertReturnUrlAllowed(wanted.return_url, deps.returnDomains)
  const idempotent = identifyRequest(origin, idempotencyKey, ['reconnect', connectionId, wanted])
  const link = await retryLostRace(() =>
    deps.database.transaction(async (transaction) => {
      await store.lockReconnects(transaction, connectionId)
      const isRepeated = idempotent !== undefined && (await isRepetition(transaction, idempotent))
      if (!isRepeated) await store.supersedeHandshakes(transaction, connectionId)
      const created = await createReconnectLink(deps, transaction, request)
      if (idempotent !== undefined && !isRepeated) await claimKey(transaction, idempotent, created)
      return created
    }),
  )
  return describeLink(deps, link)
}

async function createReconnectLink(
  deps: BeginReconnectDeps,
  transaction: Queryable,
  { connectionId, wanted, origin }: ReconnectionRequest,
): Promise<CreatedLink> {
  const connection = await holdForReconnect(transaction, connectionId)
  const { status, zone, providerId } = connection
  await holdZones(transaction, [zone])
  assertCompletionStays(connection, wanted)
  const isWaiting = status === 'pending'
  if (isWaiting) await prolongPendingConnection(transaction, connectionId, deps.linkTtlSeconds)
  const provider = await findProviderForHandshake(transaction, { provider_id: providerId }, zone)
  const firstPurpose = isStatic(provider) ? 'capture' : 'oauth'
  const allowsAccountChange = wanted.allow_account_change ?? false
  await recordEvent(transaction, deps.createId(), {
    event: 'connection.reconnect_requested',
    outcome: 'success',
    origin,
    zone,
    connectionId,
    providerId,
    data: { status, allow_account_change: allowsAccountChange },
  })
  return createLink(deps, transaction, {
    connectionId,
    purpose: isWaiting ? firstPurpose : 'reconnect',
    provider,
    confirm: asksToConfirm(provider, wanted.confirm),
    completion: wanted.completion,
    scopes: decideReconnectScopes(provider, wanted.scopes, connection),
    metadata: wanted.metadata,
    allowsAccountChange,
    returnUrl: wanted.return_url,
  })
}

/** Else a link without it, forwarded, would bind somebody else's account to the user of this connection after all. */
function assertCompletionStays({ completion }: HeldConnection, wanted: ReconnectRequest): void {
  if (completion === null || wanted.completion === completion) return
  throw invalidField('completion', `must be "${completion}", as when the connection was asked for`)
}

/** @throws AppError `idempotency_mismatch`; `already_completed` where the reconnect of this key is over */
async function isRepetition(transaction: Queryable, idempotent: IdempotentRequest): Promise<boolean> {
  const earlier = await findEarlier(transaction, idempotent)
  if (earlier === undefined) return false
  const { connectionId, handshakeId } = earlier
  if (handshakeId !== undefined && (await store.isHandshakeOpen(transaction, handshakeId))) return true
  throw new AppError(
    'already_completed',
    'The reconnect of this Idempotency-Key is over, or a newer one took its place.',
    {
      details: { connection_id: connectionId },
    },
  )
}

/**
 * The scopes asked for, else those the connection has. Of the latter the ones that the profile no longer lists are left
 * out: an app that asks for nothing in particular can do nothing about what an operator took away.
 */
function decideReconnectScopes(
  provider: Provider,
  asked: readonly string[] | undefined,
  { scopes: present }: HeldConnection,
): readonly string[] {
  if (asked !== undefined && asked.length > 0) return decideScopes(provider, asked)
  const isAllowed = (scope: string): boolean => !provider.enforceScopes || provider.scopes.includes(scope)
  return decideScopes(provider, present.filter(isAllowed))
}
