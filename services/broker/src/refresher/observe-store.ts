import type { ConnectionStatus } from '@nexus/contracts'
import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { AttemptOutcome } from './outcome-store.ts'
import { lastMinuteSeconds } from './schedule.ts'

/**
 * Seconds since the token was last refreshed, for those to whom a fresh one is as good as another refresh. Null where it
 * is due again: an answer that waited for the database may be old by the time it is stored.
 */
export const secondsSinceRefresh = fragment`
  case when coalesce(t.refresh_at > now(), t.expires_at > now(), true)
       then extract(epoch from now() - t.last_refresh_at)::float8 end`

/** How a token stands, without its secrets: what decides whether a refresh is to be tried, or waited for. */
export type TokenState = {
  readonly status: ConnectionStatus
  readonly statusReason: string | null
  /** null: a connection without a token. */
  readonly version: number | null
  readonly leaseEpoch: number | null
  /** Somebody works on it now, or died doing so a moment ago. */
  readonly isLeased: boolean
  readonly attemptOutcome: AttemptOutcome | null
  readonly attemptEpoch: number | null
  readonly secondsSinceRefresh: number | null
  readonly retryInSeconds: number | null
  /** Somebody presented it and did not tell what came of it, at a provider that revokes on reuse: until its last minute. */
  readonly sparedForSeconds: number | null
  /** What was typed in: nobody can refresh it. */
  readonly isStatic: boolean
  readonly providerId: string
  readonly profileRevision: number
}

/** undefined: there is no such connection. */
export async function selectTokenState(database: Queryable, connectionId: string): Promise<TokenState | undefined> {
  const [row] = await database.query<TokenState>(sql`
    select c.status as "status", c.status_reason as "statusReason", t.version as "version",
           t.lease_epoch::float8 as "leaseEpoch", coalesce(t.lease_until >= now(), false) as "isLeased",
           t.attempt_outcome as "attemptOutcome", t.attempt_epoch::float8 as "attemptEpoch",
           ${secondsSinceRefresh} as "secondsSinceRefresh",
           extract(epoch from t.next_attempt_at - now())::float8 as "retryInSeconds",
           case when t.sent_epoch is not null and p.settings->>'refresh_reuse' = 'revokes'
                then extract(epoch from t.expires_at - now())::float8 - ${lastMinuteSeconds}::int
           end as "sparedForSeconds",
           p.auth_type <> 'oauth2' as "isStatic", c.provider_id as "providerId", p.revision as "profileRevision"
      from connections c
      join provider_profiles p on p.id = c.provider_id
      left join tokens t on t.connection_id = c.id
     where c.id = ${connectionId}::uuid`)
  return row
}

/** Seconds since the longest-due token became due; null: none is. What somebody presented is not waiting for its turn. */
export async function selectOldestDue(database: Queryable): Promise<number | null> {
  const [row] = await database.query<{ seconds: number | null }>(sql`
    select extract(epoch from now() - min(d.due_at))::float8 as seconds
      from provider_profiles p
     cross join lateral (
       select greatest(t.refresh_at, t.next_attempt_at) as due_at
         from tokens t
        where t.provider_id = p.id and t.refresh_at is not null and greatest(t.refresh_at, t.next_attempt_at) <= now()
          and t.sent_epoch is null
        order by greatest(t.refresh_at, t.next_attempt_at)
        limit 1) d`)
  return row?.seconds ?? null
}
