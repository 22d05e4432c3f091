import type { ConnectionRequested, ConsentSpec } from '@nexus/contracts'
import { type RandomBytes, type StateSigner, equalInConstantTime, randomToken, sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { createPendingConnection, prolongPendingConnection } from '../connections/activate-connection.ts'
import type { Database, Queryable } from '../db/database.ts'
import { findProviderForHandshake } from '../providers/list-providers.ts'
import type { Provider } from '../providers/provider.ts'
import { type RedirectUriSettings, redirectUriOf } from '../providers/redirect-uri.ts'
import { insertIdempotent, selectIdempotent } from './idempotency-store.ts'
import { digestProfile } from './profile-digest.ts'
import { type ReturnDomain, assertReturnUrlAllowed } from './return-url.ts'
import { decideScopes } from './scopes.ts'
import * as store from './store.ts'

export type BeginHandshakeDeps = {
  readonly database: Database
  readonly signer: StateSigner
  readonly createId: () => string
  readonly randomBytes: RandomBytes
  /** Milliseconds since 1970 by the database's clock (R9). */
  readonly databaseNow: () => number
  readonly redirectUri: RedirectUriSettings
  readonly returnDomains: readonly ReturnDomain[]
  readonly linkTtlSeconds: number
}

export type HandshakeRequest = {
  readonly spec: ConsentSpec
  readonly idempotencyKey: string | undefined
  readonly origin: Origin
}

const zone = 'root'

/**
 * Starts a handshake: a pending connection and a link for the person whose account it is to be.
 *
 * Nothing goes to the provider yet, and the link can be opened as often as needed until it is used (H4).
 * @throws AppError `provider_not_found`, `zone_not_found`, `scope_not_allowed`, `return_url_not_allowed`,
 *   `idempotency_mismatch`, `already_completed`
 */
export async function beginHandshake(
  deps: BeginHandshakeDeps,
  request: HandshakeRequest,
): Promise<ConnectionRequested> {
  const { spec } = request
  assertZoneExists(spec.zone)
  const provider = await findProviderForHandshake(deps.database, spec, zone)
  const scopes = decideScopes(provider, spec.scopes)
  if (spec.return_url !== undefined) assertReturnUrlAllowed(spec.return_url, deps.returnDomains)

  const link = await retryOnce(() =>
    deps.database.transaction(async (transaction) => {
      const connectionId = await findOrCreateConnection(deps, transaction, request, provider, scopes)
      return createLink(deps, transaction, request, provider, connectionId)
    }),
  )

  const state = deps.signer.sign({
    purpose: 'request',
    connectionId: link.connectionId,
    jti: randomToken(32, deps.randomBytes),
    issuedAt: Math.floor(deps.databaseNow() / 1000),
  })
  return {
    authUrl: `${deps.redirectUri.baseUrl}/auth/connect/${link.ticket}`,
    connection_id: link.connectionId,
    state,
    scopes: [...scopes],
    provider_id: provider.id,
    expires_at: link.expiresAt.toISOString(),
  }
}

function assertZoneExists(name: string | undefined): void {
  if (name !== undefined && name !== zone) throw new AppError('zone_not_found', 'There is no such zone.')
}

/** The connection an earlier request with the same Idempotency-Key made, else a new one. */
async function findOrCreateConnection(
  deps: BeginHandshakeDeps,
  transaction: Queryable,
  { spec, idempotencyKey, origin }: HandshakeRequest,
  provider: Provider,
  scopes: readonly string[],
): Promise<string> {
  const caller = `${origin.actorKind}:${origin.actorId ?? ''}`
  const keyHash = idempotencyKey === undefined ? undefined : sha256(idempotencyKey)
  const bodyHash = sha256(canonicalJson(spec))
  if (keyHash !== undefined) {
    const earlier = await selectIdempotent(transaction, caller, keyHash)
    if (earlier !== undefined) return repeatRequest(deps, transaction, earlier, bodyHash)
  }

  const connectionId = deps.createId()
  await createPendingConnection(transaction, {
    id: connectionId,
    zone,
    workspaceId: spec.workspace_id,
    providerId: provider.id,
    scopes,
    metadata: spec.metadata ?? {},
    ttlSeconds: deps.linkTtlSeconds,
  })
  if (keyHash !== undefined) {
    const isFirst = await insertIdempotent(transaction, { caller, keyHash, bodyHash, connectionId })
    if (!isFirst) throw new LostRace()
  }
  return connectionId
}

async function repeatRequest(
  deps: BeginHandshakeDeps,
  transaction: Queryable,
  earlier: { readonly connectionId: string; readonly bodyHash: Buffer },
  bodyHash: Buffer,
): Promise<string> {
  if (!equalInConstantTime(earlier.bodyHash, bodyHash)) {
    throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used with another request within 24 hours.')
  }
  if (!(await prolongPendingConnection(transaction, earlier.connectionId, deps.linkTtlSeconds))) {
    throw new AppError('already_completed', 'The connection of this Idempotency-Key is no longer pending.', {
      details: { connection_id: earlier.connectionId },
    })
  }
  return earlier.connectionId
}

async function createLink(
  deps: BeginHandshakeDeps,
  transaction: Queryable,
  { spec, origin }: HandshakeRequest,
  provider: Provider,
  connectionId: string,
) {
  const ticket = randomToken(32, deps.randomBytes)
  const expiresAt = await store.insertHandshake(transaction, {
    id: deps.createId(),
    connectionId,
    ticketHash: sha256(ticket),
    returnUrl: spec.return_url,
    profileDigest: digestProfile(provider, redirectUriOf(provider, deps.redirectUri)),
    ttlSeconds: deps.linkTtlSeconds,
  })
  await recordEvent(transaction, deps.createId(), {
    event: 'connection.requested',
    outcome: 'success',
    origin,
    zone,
    connectionId,
    providerId: provider.id,
  })
  return { connectionId, ticket, expiresAt }
}

/** Somebody used the same Idempotency-Key at the same moment and was faster: look again, theirs is there now. */
class LostRace extends Error {}

async function retryOnce<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof LostRace) return work()
    throw error
  }
}

/** JSON with sorted members, so that the order in which a client writes them makes no difference. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
