import type { Queryable } from '../db/database.ts'
import { type Use, usesAsRows } from '../db/last-used.ts'
import { fragment, prepared, sql } from '../db/sql.ts'
import type { ConnectionStatus } from '@nexus/contracts'
import type { Connection } from './connection.ts'

/** The status as it reads now: a pending connection is expired from its deadline on, swept or not. */
export const effectiveStatus = fragment`
  case when c.status = 'pending' and c.pending_until <= now() then 'expired' else c.status end`

/** The same, of one status: in words that the planner can count by, and find the few among many by an index. */
function readsAs(status: ConnectionStatus) {
  const isOverdue = fragment`(c.status = 'pending' and c.pending_until <= now())`
  if (status === 'pending') return fragment`(c.status = 'pending' and c.pending_until > now())`
  if (status === 'expired') return fragment`(c.status = 'expired' or ${isOverdue})`
  return fragment`c.status = ${status}::text`
}

type ConnectionRow = {
  readonly id: string
  readonly zone: string
  readonly workspace_id: string
  readonly provider_id: string
  readonly provider_name: string
  readonly status: ConnectionStatus
  readonly status_reason: string | null
  readonly scopes: string[]
  readonly granted_scopes: string[] | null
  readonly account_issuer: string | null
  readonly account_subject: string | null
  readonly account_label: string | null
  readonly metadata: Record<string, unknown>
  readonly created_at: Date
  readonly updated_at: Date
  readonly last_used_at: Date | null
  readonly token_expires_at: Date | null
  readonly last_refresh_at: Date | null
  readonly position: string
}

const columns = fragment`
  c.id, c.zone, c.workspace_id, c.provider_id, p.name as provider_name, ${effectiveStatus} as status, c.status_reason,
  c.scopes, c.granted_scopes, c.account_issuer, c.account_subject, c.account_label, c.metadata, c.created_at,
  c.updated_at, c.last_used_at, t.expires_at as token_expires_at, t.last_refresh_at, c.created_at::text as position`

const source = fragment`
  connections c
  join provider_profiles p on p.id = c.provider_id
  left join tokens t on t.connection_id = c.id`

function fromRow(row: ConnectionRow): Connection {
  return {
    id: row.id,
    zone: row.zone,
    workspaceId: row.workspace_id,
    providerId: row.provider_id,
    providerName: row.provider_name,
    status: row.status,
    statusReason: row.status_reason ?? undefined,
    scopes: row.scopes,
    grantedScopes: row.granted_scopes ?? undefined,
    account:
      row.account_issuer === null || row.account_subject === null
        ? undefined
        : { issuer: row.account_issuer, subject: row.account_subject, label: row.account_label ?? undefined },
    metadata: row.metadata,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastUsedAt: row.last_used_at ?? undefined,
    tokenExpiresAt: row.token_expires_at ?? undefined,
    lastRefreshAt: row.last_refresh_at ?? undefined,
  }
}

export async function selectConnection(database: Queryable, id: string): Promise<Connection | undefined> {
  const [row] = await database.query<ConnectionRow>(sql`select ${columns} from ${source} where c.id = ${id}::uuid`)
  return row && fromRow(row)
}

export async function selectZoneOf(database: Queryable, id: string): Promise<string | undefined> {
  const [row] = await database.query<{ zone: string }>(
    prepared('zone-of', sql`select c.zone from connections c where c.id = ${id}::uuid`),
  )
  return row?.zone
}

export type ConnectionFilter = {
  readonly workspaceId: string | undefined
  readonly provider: string | undefined
  readonly status: ConnectionStatus | undefined
  readonly zone: string | undefined
  /** No others are looked at; undefined: all. */
  readonly zones: readonly string[] | undefined
  readonly after: { readonly position: string; readonly id: string } | undefined
  readonly limit: number
}

export type ListedConnection = { readonly connection: Connection; readonly position: string }

/** One page in the order of creation. */
export async function selectConnections(
  database: Queryable,
  filter: ConnectionFilter,
): Promise<readonly ListedConnection[]> {
  const after = filter.after ?? { position: null, id: null }
  const rows = await database.query<ConnectionRow>(sql`
    select ${columns}
      from ${source}
     where (${filter.workspaceId ?? null}::text is null or c.workspace_id = ${filter.workspaceId ?? null}::text)
       and (${filter.provider ?? null}::text is null or p.name = ${filter.provider ?? null}::text)
       and ${filter.status === undefined ? fragment`true` : readsAs(filter.status)}
       and (${filter.zone ?? null}::text is null or c.zone = ${filter.zone ?? null}::text)
       and (${filter.zones ?? null}::text[] is null or c.zone = any (${filter.zones ?? null}::text[]))
       and (${after.position}::timestamptz is null or (c.created_at, c.id) > (${after.position}::timestamptz, ${after.id}::uuid))
     order by c.created_at, c.id
     limit ${filter.limit}::int`)
  return rows.map((row) => ({ connection: fromRow(row), position: row.position }))
}

export type NewConnection = {
  readonly id: string
  readonly zone: string
  readonly workspaceId: string
  readonly providerId: string
  readonly scopes: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  /** `app`: the app says who came back, at every link of this connection. */
  readonly completion: 'app' | undefined
  readonly ttlSeconds: number
}

export async function insertPendingConnection(transaction: Queryable, connection: NewConnection): Promise<void> {
  await transaction.query(sql`
    insert into connections (id, zone, workspace_id, provider_id, status, scopes, metadata, completion, pending_until)
    values (${connection.id}::uuid, ${connection.zone}::text, ${connection.workspaceId}::text,
            ${connection.providerId}::uuid, 'pending', ${connection.scopes}::text[],
            ${JSON.stringify(connection.metadata)}::json,
            ${connection.completion ?? null}::text, now() + make_interval(secs => ${connection.ttlSeconds}::int))`)
}

/**
 * A fresh link for a connection that waits, or that nobody came for in time: whoever asks for it again may still come,
 * whether the deadline was written down already or not.
 */
export async function extendPendingConnection(
  transaction: Queryable,
  id: string,
  ttlSeconds: number,
): Promise<boolean> {
  const rows = await transaction.query(sql`
    update connections
       set status = 'pending', updated_at = now(),
           pending_until = greatest(pending_until, now() + make_interval(secs => ${ttlSeconds}::int))
     where id = ${id}::uuid and status in ('pending', 'expired')
    returning id`)
  return rows.length === 1
}

export type Activation = {
  readonly connectionId: string
  /** `any` but revoked. */
  readonly from: 'pending' | 'any'
  readonly scopes: readonly string[]
  readonly grantedScopes: readonly string[]
  readonly account: Connection['account']
  /** undefined leaves it as it is. */
  readonly metadata: Connection['metadata'] | undefined
}

export async function updateToActive(transaction: Queryable, activation: Activation): Promise<boolean> {
  const { account, metadata } = activation
  const rows = await transaction.query(sql`
    update connections
       set status = 'active', status_reason = null, scopes = ${activation.scopes}::text[],
           granted_scopes = ${activation.grantedScopes}::text[],
           metadata = coalesce(${metadata === undefined ? null : JSON.stringify(metadata)}::json, metadata),
           account_issuer = ${account?.issuer ?? null}::text, account_subject = ${account?.subject ?? null}::text,
           account_label = ${account?.label ?? null}::text, updated_at = now()
     where id = ${activation.connectionId}::uuid
       and case ${activation.from}::text when 'pending' then status = 'pending' else status <> 'revoked' end
    returning id`)
  return rows.length === 1
}

export async function updateToFailed(transaction: Queryable, id: string, reason: string): Promise<boolean> {
  const rows = await transaction.query(sql`
    update connections set status = 'failed', status_reason = ${reason}::text, updated_at = now()
     where id = ${id}::uuid and status = 'pending'
    returning id`)
  return rows.length === 1
}

export async function updateToAttentionRequired(transaction: Queryable, id: string, reason: string): Promise<boolean> {
  const rows = await transaction.query(sql`
    update connections set status = 'attention_required', status_reason = ${reason}::text, updated_at = now()
     where id = ${id}::uuid and status = 'active'
    returning id`)
  return rows.length === 1
}

/** At most once a minute per row, in the order of ids, passing over rows that somebody holds (data.md, Audit). */
export async function touchLastUsed(database: Queryable, uses: readonly Use[]): Promise<void> {
  await database.query(sql`
    with used as (
      select c.id, u.at
        from ${usesAsRows(uses)} u
        join connections c on c.id = u.id
       where c.last_used_at is null or c.last_used_at < u.at - interval '1 minute'
       order by c.id
         for update of c skip locked
    )
    update connections c set last_used_at = used.at from used where c.id = used.id`)
}

/** What a refresh granted, where the provider said so: it may be narrower than before (RFC 6749 §6). */
export async function updateGrantedScopes(
  transaction: Queryable,
  id: string,
  scopes: readonly string[],
): Promise<void> {
  await transaction.query(sql`
    update connections set granted_scopes = ${scopes}::text[], updated_at = now()
     where id = ${id}::uuid and granted_scopes is distinct from ${scopes}::text[]`)
}

export type StatusCount = { readonly status: ConnectionStatus; readonly count: number }

export function countByStatus(database: Queryable, zones?: readonly string[]): Promise<readonly StatusCount[]> {
  return database.query<StatusCount>(sql`
    select ${effectiveStatus} as status, count(*)::float8 as count
      from connections c
     where ${zones ?? null}::text[] is null or c.zone = any (${zones ?? null}::text[])
     group by 1`)
}
