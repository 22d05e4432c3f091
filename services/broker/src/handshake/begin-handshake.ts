import type { ConnectionRequested, ConsentSpec } from '@nexus/contracts'
import { AppError, invalidField } from '@nexus/service'
import { type Agent, chooseZone } from '../agents/agent.ts'
import type { Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import { createPendingConnection, prolongPendingConnection } from '../connections/activate-connection.ts'
import type { Database, Queryable } from '../db/database.ts'
import { findProviderForHandshake } from '../providers/list-providers.ts'
import { type Provider, isStatic } from '../providers/provider.ts'
import { holdZones } from '../zones/hold-zones.ts'
import { type LinkDeps, asksToConfirm, createLink, describeLink } from './create-link.ts'
import { type IdempotentRequest, claimKey, findEarlier, identifyRequest, retryLostRace } from './idempotency.ts'
import { type ReturnDomain, assertReturnUrlAllowed } from './return-url.ts'
import { decideScopes } from './scopes.ts'

export type BeginHandshakeDeps = LinkDeps & {
  readonly database: Database
  readonly returnDomains: readonly ReturnDomain[]
}

export type HandshakeRequest = {
  readonly spec: ConsentSpec
  readonly agent: Agent
  /** Beside the one in `spec`, by a header. */
  readonly namedZone: string | undefined
  readonly idempotencyKey: string | undefined
  readonly origin: Origin
}

/**
 * Starts a handshake: a pending connection and a link for the person whose account it is to be.
 *
 * Nothing goes to the provider yet, and the link can be opened as often as needed until it is used (H4).
 * @throws AppError `provider_not_found`, `zone_required`, `zone_not_found`, `insufficient_permission`, `scope_not_allowed`,
 *   `return_url_not_allowed`, `idempotency_mismatch`, `already_completed`
 */
export async function beginHandshake(
  deps: BeginHandshakeDeps,
  { spec: asked, agent, namedZone, idempotencyKey, origin }: HandshakeRequest,
): Promise<ConnectionRequested> {
  const spec = namedZone === undefined ? asked : { ...asked, zone: mergeZones(asked.zone, namedZone) }
  const zone = chooseZone(agent, spec.zone)
  const provider = await findProviderForHandshake(deps.database, spec, zone)
  const scopes = decideScopes(provider, spec.scopes)
  if (spec.return_url !== undefined) assertReturnUrlAllowed(spec.return_url, deps.returnDomains)
  // with the zone that was chosen, named or not: a token that lost it is not led back there by its key
  const idempotent = identifyRequest(origin, idempotencyKey, { ...spec, zone })

  const link = await retryLostRace(() =>
    deps.database.transaction(async (transaction) => {
      await holdZones(transaction, [zone])
      const connectionId = await findOrCreateConnection(deps, transaction, { spec, zone, idempotent, provider, scopes })
      const about = { zone, connectionId, providerId: provider.id }
      const event = { event: 'connection.requested', outcome: 'success', origin, ...about } as const
      await recordEvent(transaction, deps.createId(), event)
      return createLink(deps, transaction, {
        connectionId,
        purpose: isStatic(provider) ? 'capture' : 'oauth',
        provider,
        scopes,
        confirm: asksToConfirm(provider, spec.confirm),
        completion: spec.completion,
        metadata: undefined,
        allowsAccountChange: false,
        returnUrl: spec.return_url,
      })
    }),
  )
  return describeLink(deps, link)
}

function mergeZones(inBody: string | undefined, inHeader: string): string {
  if (inBody === undefined || inBody === inHeader) return inHeader
  throw invalidField('zone', 'is another one than X-Nexus-Zone-ID names')
}

type WantedConnection = {
  readonly spec: ConsentSpec
  readonly zone: string
  readonly idempotent: IdempotentRequest | undefined
  readonly provider: Provider
  readonly scopes: readonly string[]
}

/** The connection an earlier request with the same Idempotency-Key made, else a new one. */
async function findOrCreateConnection(
  deps: BeginHandshakeDeps,
  transaction: Queryable,
  { spec, zone, idempotent, provider, scopes }: WantedConnection,
): Promise<string> {
  const earlier = idempotent && (await findEarlier(transaction, idempotent))
  if (earlier !== undefined) {
    await repeatRequest(deps, transaction, earlier.connectionId)
    return earlier.connectionId
  }
  const connectionId = deps.createId()
  await createPendingConnection(transaction, {
    id: connectionId,
    zone,
    workspaceId: spec.workspace_id,
    providerId: provider.id,
    scopes,
    metadata: spec.metadata ?? {},
    completion: spec.completion,
    ttlSeconds: deps.linkTtlSeconds,
  })
  if (idempotent !== undefined) await claimKey(transaction, idempotent, { connectionId, handshakeId: undefined })
  return connectionId
}

async function repeatRequest(deps: BeginHandshakeDeps, transaction: Queryable, connectionId: string): Promise<void> {
  if (await prolongPendingConnection(transaction, connectionId, deps.linkTtlSeconds)) return
  throw new AppError('already_completed', 'The connection of this Idempotency-Key is no longer pending.', {
    details: { connection_id: connectionId },
  })
}
