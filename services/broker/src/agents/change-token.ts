import type { AgentToken } from '@nexus/contracts'
import { AppError } from '@nexus/service'
import type { AuditEventName, Origin } from '../audit/audit-event.ts'
import { recordEvent } from '../audit/record-event.ts'
import type { Database, Queryable } from '../db/database.ts'
import { holdZones } from '../zones/hold-zones.ts'
import {
  type Authority,
  type Manager,
  assertMayGrant,
  assertMayGrantTo,
  beginChange,
  managedZones,
} from './authority.ts'
import type { ChangeSignal } from './change-signal.ts'
import { describeToken } from './describe-token.ts'
import { tokenNotFound } from './list-tokens.ts'
import * as store from './store.ts'

export type ChangeTokenDeps = {
  readonly database: Database
  readonly createId: () => string
  /** Tells other Brokers sooner than they would find out. */
  readonly signal: Pick<ChangeSignal, 'send'>
}

type Change = { readonly keyId: string; readonly manager: Manager; readonly origin: Origin }

type Work = {
  readonly transaction: Queryable
  readonly token: store.StoredToken
  readonly authority: Authority
  /** The number of this change. */
  readonly seq: number
}

/**
 * Revokes a token for good: within about a second no Broker takes it any more. Asked again, it does nothing.
 * @throws AppError `token_not_found`, `insufficient_permission`, `invalid_token`
 */
export function revokeToken(deps: ChangeTokenDeps, change: Change): Promise<AgentToken> {
  return changeToken(deps, change, async ({ transaction, token, seq }) => {
    const isNew = await store.updateToRevoked(transaction, token.keyId, seq)
    return isNew ? { event: 'agent_token.revoked', data: {} } : undefined
  })
}

/**
 * Gives a token a zone, or other permissions in one that it has.
 * @throws AppError `token_not_found`, `zone_not_found`, `insufficient_permission`, `invalid_token`, `invalid_request` for a
 *   revoked one
 */
export function setTokenZone(deps: ChangeTokenDeps, change: Change, grant: store.Grant): Promise<AgentToken> {
  return changeToken(deps, change, async ({ transaction, token, authority, seq }) => {
    assertLiving(token)
    assertMayGrant(authority, grant)
    assertMayGrantTo(authority, token, grant)
    await holdZones(transaction, [grant.zone])
    await store.upsertGrants(transaction, token.keyId, [grant])
    await store.updateChanged(transaction, token.keyId, seq)
    return { event: 'agent_token.zone_added', data: { zone: grant.zone, permissions: grant.permissions } }
  })
}

/**
 * Takes a zone from a token. The last one stays: a token that can do nothing is to be revoked.
 * @throws AppError `token_not_found`, `zone_not_found` where it has none such, `last_zone`, `insufficient_permission`,
 *   `invalid_token`
 */
export function removeTokenZone(deps: ChangeTokenDeps, change: Change, zone: string): Promise<AgentToken> {
  return changeToken(deps, change, async ({ transaction, token, seq }) => {
    assertLiving(token)
    if (!token.zones.some((grant) => grant.zone === zone)) {
      throw new AppError('zone_not_found', `The token does not have the zone ${zone}.`, { details: { zone } })
    }
    if (token.zones.length === 1 && !token.isAdmin) {
      throw new AppError('last_zone', `${zone} is the only zone of this token: revoke it instead.`, {
        details: { zone },
      })
    }
    await store.deleteGrant(transaction, token.keyId, zone)
    await store.updateFirstZones(transaction, zone, token.keyId)
    await store.updateChanged(transaction, token.keyId, seq)
    return { event: 'agent_token.zone_removed', data: { zone } }
  })
}

type Done = {
  readonly event: Extract<AuditEventName, `agent_token.${string}`>
  readonly data: Readonly<Record<string, unknown>>
}

/** One transaction: the change begins, then whether this token is the manager's to change, and what becomes of it. */
async function changeToken(
  deps: ChangeTokenDeps,
  { keyId, manager, origin }: Change,
  work: (work: Work) => Promise<Done | undefined>,
): Promise<AgentToken> {
  const changed = await deps.database.transaction(async (transaction) => {
    const { seq, authority } = await beginChange(transaction, manager)
    const zones = managedZones(authority)
    const token = await store.selectToken(transaction, keyId, zones)
    if (token === undefined) throw tokenNotFound()
    const done = await work({ transaction, token, authority, seq })
    if (done !== undefined) {
      const data = { key_id: keyId, name: token.name, ...done.data }
      const about = { origin, zone: token.firstZone, data }
      await recordEvent(transaction, deps.createId(), { event: done.event, outcome: 'success', ...about })
    }
    const after = await store.selectToken(transaction, keyId, undefined)
    return describeToken(after ?? token)
  })
  deps.signal.send()
  return changed
}

function assertLiving({ revokedAt }: store.StoredToken): void {
  if (revokedAt !== null) throw new AppError('invalid_request', 'The token is revoked, and stays so.')
}
