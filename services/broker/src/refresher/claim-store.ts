import { type OAuthCredentials, openCredentials, requireOAuth } from '../connections/credential-set.ts'
import type { Queryable } from '../db/database.ts'
import { fragment, prepared, sql } from '../db/sql.ts'
import type { SecretVault } from '../vault/secret-vault.ts'
import { secondsSinceRefresh } from './observe-store.ts'
import { lastMinuteSeconds } from './schedule.ts'

/** How long a claim holds, in seconds: a call to the provider (20) and what lies around it. */
export const leaseSeconds = 25

/** A token under the lease of this Broker, as it stood when the lease was taken (data.md, Refresh 2 and 3). */
export type Claim = {
  readonly connectionId: string
  readonly zone: string
  readonly providerId: string
  readonly providerName: string
  readonly profileRevision: number
  readonly account: { readonly issuer: string; readonly subject: string } | undefined
  readonly version: number
  readonly leaseEpoch: number
  /** Somebody presented the refresh token under an earlier lease and never told what came of it. */
  readonly isAbandoned: boolean
  /** Some presentation of this refresh token was not answered: it may be spent. */
  readonly isOutcomeUnknown: boolean
  readonly failureCount: number
  readonly secondsLeft: number | null
  readonly secondsSinceRefresh: number | null
  readonly retryInSeconds: number | null
  readonly issuedAt: Date
  readonly sealed: Buffer
  readonly keyId: Buffer
}

type ClaimRow = Omit<Claim, 'account'> & { readonly issuer: string | null; readonly subject: string | null }

const lease = fragment`
  lease_until = now() + make_interval(secs => ${leaseSeconds}::int), lease_epoch = t.lease_epoch + 1`

const isFree = fragment`(t.lease_until is null or t.lease_until < now())`

/** While its access token lives, a provider that punishes reuse is not asked what became of an earlier presentation. */
const mayAskAgain = fragment`
  (coalesce(p.settings->>'refresh_reuse', 'refuses') <> 'revokes' or t.expires_at is null
    or t.expires_at < now() + make_interval(secs => ${lastMinuteSeconds}::int))`

const claimed = fragment`
  c.id as "connectionId", c.zone as "zone", t.provider_id as "providerId", p.name as "providerName",
  p.revision as "profileRevision", c.account_issuer as "issuer", c.account_subject as "subject", t.version as "version",
  t.lease_epoch::float8 as "leaseEpoch", t.sent_epoch is not null as "isAbandoned", t.outcome_unknown as "isOutcomeUnknown",
  t.failure_count as "failureCount",
  extract(epoch from t.expires_at - now())::float8 as "secondsLeft",
  ${secondsSinceRefresh} as "secondsSinceRefresh",
  extract(epoch from t.next_attempt_at - now())::float8 as "retryInSeconds",
  t.issued_at as "issuedAt", t.credentials as "sealed", t.key_id as "keyId"`

/**
 * Takes the lease on one token, if nobody holds it. The row comes back as it stands under the lease.
 *
 * @param mayTakeOver - false leaves tokens alone that somebody presented and did not tell about (data.md, Refresh 6)
 */
export async function claimToken(
  database: Queryable,
  owner: string,
  connectionId: string,
  mayTakeOver: boolean,
): Promise<Claim | undefined> {
  const [row] = await database.query<ClaimRow>(sql`
    update tokens t
       set lease_owner = ${owner}::uuid, ${lease}
      from connections c, provider_profiles p
     where t.connection_id = ${connectionId}::uuid and c.id = t.connection_id and p.id = t.provider_id
       and c.status = 'active' and ${isFree}
       and (t.sent_epoch is null or (${mayTakeOver}::boolean and ${mayAskAgain}))
    returning ${claimed}`)
  return row && fromRow(row)
}

/** How many tokens of one provider this process may claim now; of providers not named, `usual`. */
export type FreeSlots = {
  readonly usual: number
  readonly byProvider: ReadonlyMap<string, number>
  /** Over all providers. */
  readonly total: number
}

function unnestSlots({ byProvider }: FreeSlots) {
  return fragment`
      select * from unnest(${[...byProvider.keys()]}::uuid[], ${[...byProvider.values()]}::int[]) as s (provider_id, free)`
}

/**
 * Claims tokens that are due, provider by provider: of each no more than it has free slots, the longest due first, and in
 * turns where the total is short, so that no provider waits behind another. The due index gives them in this order, rows
 * that wait after a failure left out.
 */
export async function claimDueTokens(database: Queryable, owner: string, free: FreeSlots): Promise<readonly Claim[]> {
  const rows = await database.query<ClaimRow>(
    prepared(
      'claim-due-tokens',
      sql`
    with slots as (
      ${unnestSlots(free)}
    ), due as (
      select d.connection_id
        from provider_profiles p
        left join slots s on s.provider_id = p.id
       cross join lateral (
         select t.connection_id, greatest(t.refresh_at, t.next_attempt_at) as due_at
           from tokens t
          where t.provider_id = p.id and t.refresh_at is not null and greatest(t.refresh_at, t.next_attempt_at) <= now()
            and ${isFree} and t.sent_epoch is null
          order by greatest(t.refresh_at, t.next_attempt_at)
          limit coalesce(s.free, ${free.usual}::int)
            for update of t skip locked) d
       order by row_number() over (partition by p.id order by d.due_at), d.due_at
       limit ${free.total}::int
    )
    update tokens t
       set lease_owner = ${owner}::uuid, ${lease}
      from due, connections c, provider_profiles p
     where t.connection_id = due.connection_id and c.id = t.connection_id and p.id = t.provider_id
    returning ${claimed}`,
    ),
  )
  return rows.map(fromRow)
}

/**
 * Claims tokens that somebody presented and, the lease having lapsed, did not tell about: its process died or stands
 * still (data.md, Refresh 9). Of each provider no more than it has free slots, the longest abandoned first.
 */
export async function claimAbandonedTokens(
  database: Queryable,
  owner: string,
  free: FreeSlots,
): Promise<readonly Claim[]> {
  const rows = await database.query<ClaimRow>(
    prepared(
      'claim-abandoned-tokens',
      sql`
    with slots as (
      ${unnestSlots(free)}
    ), lapsed as (
      select t.connection_id, coalesce(s.free, ${free.usual}::int) as free,
             row_number() over (partition by t.provider_id order by t.sent_at) as place
        from tokens t
        join provider_profiles p on p.id = t.provider_id
        left join slots s on s.provider_id = t.provider_id
       where t.sent_epoch is not null and ${isFree} and ${mayAskAgain}
         -- somebody took it over and could not present it
         and (t.next_attempt_at is null or t.next_attempt_at <= now())
    ), abandoned as (
      select t.connection_id
        from lapsed
        join tokens t on t.connection_id = lapsed.connection_id
       where lapsed.place <= lapsed.free and t.sent_epoch is not null and ${isFree}
       order by t.sent_at
       limit ${free.total}::int
         for update of t skip locked
    )
    update tokens t
       set lease_owner = ${owner}::uuid, ${lease}
      from abandoned, connections c, provider_profiles p
     where t.connection_id = abandoned.connection_id and c.id = t.connection_id and p.id = t.provider_id
    returning ${claimed}`,
    ),
  )
  return rows.map(fromRow)
}

/** Gives a lease back under which nothing was sent. */
export async function releaseClaim(database: Queryable, { connectionId, leaseEpoch }: Claim): Promise<void> {
  await database.query(sql`
    update tokens set lease_owner = null, lease_until = null
     where connection_id = ${connectionId}::uuid and lease_epoch = ${leaseEpoch}::bigint
       and sent_epoch is distinct from ${leaseEpoch}::bigint`)
}

/** Gives back what of these this process holds and has not sent; the marks of those on their way to it are refused. */
export async function releaseUnsent(
  database: Queryable,
  owner: string,
  connectionIds: readonly string[],
): Promise<void> {
  await database.query(sql`
    update tokens set lease_owner = null, lease_until = null
     where connection_id = any (${connectionIds}::uuid[]) and lease_owner = ${owner}::uuid
       and sent_epoch is distinct from lease_epoch`)
}

/**
 * The intent record: from here on somebody may have seen the refresh token (data.md, Refresh 4). False: the lease was
 * lost, the token changed or the connection ended, and nothing may be sent.
 */
export async function markSent(database: Queryable, claim: Claim): Promise<boolean> {
  const rows = await database.query(
    prepared(
      'mark-sent',
      sql`
    update tokens t
       set sent_epoch = t.lease_epoch, sent_at = now(), lease_until = now() + make_interval(secs => ${leaseSeconds}::int)
     where t.connection_id = ${claim.connectionId}::uuid and t.version = ${claim.version}::int
       and t.lease_epoch = ${claim.leaseEpoch}::bigint and t.lease_until > now()
       and (select c.status from connections c where c.id = t.connection_id) = 'active'
    returning 1`,
    ),
  )
  return rows.length === 1
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openClaim(vault: SecretVault, claim: Claim): OAuthCredentials {
  return requireOAuth(openCredentials(vault, claim.connectionId, claim.version, claim))
}

function fromRow({ issuer, subject, ...rest }: ClaimRow): Claim {
  return { ...rest, account: issuer === null || subject === null ? undefined : { issuer, subject } }
}
