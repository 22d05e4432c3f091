import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'
import type { SettledRevocation } from '../oauth/provider-client.ts'
import type { SecretVault } from '../vault/secret-vault.ts'

/** As sealed in the row: the refresh token goes first (P6). */
export type OwedTokens = { readonly refreshToken: string | undefined; readonly accessToken: string }

// what a provider could not be told in this long is forgotten: most of it has expired by then
const patience = fragment`interval '1 day'`

export type NewRevocation = {
  readonly id: string
  readonly connectionId: string
  readonly providerId: string
  readonly zone: string
  readonly tokens: OwedTokens
  readonly firstAttemptInSeconds: number
}

/** Where the first attempt lies ahead, whoever queues it makes one meanwhile: it counts already. */
export async function insertRevocation(
  transaction: Queryable,
  vault: SecretVault,
  revocation: NewRevocation,
): Promise<void> {
  const { sealed, keyId } = vault.seal(JSON.stringify(revocation.tokens), revocationContext(revocation.id))
  const attempts = revocation.firstAttemptInSeconds > 0 ? 1 : 0
  await transaction.query(sql`
    insert into revocations (id, connection_id, provider_id, zone, tokens, key_id, attempts, next_attempt_at)
    values (${revocation.id}::uuid, ${revocation.connectionId}::uuid, ${revocation.providerId}::uuid,
            ${revocation.zone}::text, ${sealed}::bytea, ${keyId}::bytea, ${attempts}::int,
            now() + make_interval(secs => ${revocation.firstAttemptInSeconds}::float8))`)
}

/** An owed revocation that this process is to attempt, until its lease ends. */
export type Revocation = {
  readonly id: string
  readonly connectionId: string
  readonly providerId: string
  readonly zone: string
  /** This one included. Whoever finds another number has been overtaken. */
  readonly attempts: number
  /** What became of the refresh token, where that is certain already. */
  readonly refreshTokenOutcome: SettledRevocation | null
}

export type ClaimedRevocation = Revocation & { readonly sealed: Buffer; readonly keyId: Buffer }

export type ClaimLimits = {
  readonly total: number
  readonly perProvider: number
  /** Providers that get another number. */
  readonly exceptions: ReadonlyMap<string, number>
  readonly leaseSeconds: number
}

/**
 * Takes due rows, of each provider no more than its limit, so that what one of them owes never stands before the others.
 * The moment of the next attempt is the lease: nobody else takes the row until then, and then anybody may.
 */
export async function claimRevocations(
  database: Queryable,
  { total, perProvider, exceptions, leaseSeconds }: ClaimLimits,
): Promise<readonly ClaimedRevocation[]> {
  return database.query<ClaimedRevocation>(sql`
    with due as (
      select r.id
        from provider_profiles p
        left join unnest(${[...exceptions.keys()]}::uuid[], ${[...exceptions.values()]}::int[]) as busy (id, places)
          on busy.id = p.id
       cross join lateral (
         select id, next_attempt_at from revocations
          where provider_id = p.id and next_attempt_at <= now()
          order by next_attempt_at
          limit coalesce(busy.places, ${perProvider}::int)
            for update skip locked) r
       order by r.next_attempt_at
       limit ${total}::int)
    update revocations
       set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ${leaseSeconds}::float8)
     where id in (select id from due)
    returning id, connection_id as "connectionId", provider_id as "providerId", zone, attempts,
              refresh_token_outcome as "refreshTokenOutcome", tokens as "sealed", key_id as "keyId"`)
}

/** @throws AppError `vault_integrity`, `key_unavailable` */
export function openOwedTokens(vault: SecretVault, { id, sealed, keyId }: ClaimedRevocation): OwedTokens {
  const tokens: OwedTokens = JSON.parse(vault.open(sealed, revocationContext(id), keyId))
  return tokens
}

/** Puts the next attempt off, at most to the end of its day. False: that day is over, or somebody overtook us. */
export async function postponeRevocation(
  database: Queryable,
  { id, attempts, refreshTokenOutcome }: Revocation,
  delaySeconds: number,
): Promise<boolean> {
  const rows = await database.query(sql`
    update revocations
       set next_attempt_at = least(now() + make_interval(secs => ${delaySeconds}::float8), created_at + ${patience}),
           refresh_token_outcome = ${refreshTokenOutcome && JSON.stringify(refreshTokenOutcome)}::jsonb
     where id = ${id}::uuid and attempts = ${attempts}::int and created_at + ${patience} > now()
    returning id`)
  return rows.length === 1
}

/** False: somebody else was first, and has recorded it. */
export async function deleteRevocation(transaction: Queryable, id: string): Promise<boolean> {
  const rows = await transaction.query(sql`delete from revocations where id = ${id}::uuid returning id`)
  return rows.length === 1
}

/** Of one whose day is over, unless somebody overtook us. */
export async function deleteOverdueRevocation(
  transaction: Queryable,
  { id, attempts }: Pick<Revocation, 'id' | 'attempts'>,
): Promise<boolean> {
  const rows = await transaction.query(sql`
    delete from revocations
     where id = ${id}::uuid and attempts = ${attempts}::int and created_at + ${patience} <= now()
    returning id`)
  return rows.length === 1
}

export async function selectIsOwed(database: Queryable, connectionId: string): Promise<boolean> {
  const rows = await database.query(sql`
    select 1 from revocations where connection_id = ${connectionId}::uuid limit 1`)
  return rows.length === 1
}

export async function countRevocations(database: Queryable): Promise<number> {
  const [row] = await database.query<{ owed: number }>(sql`select count(*)::int as owed from revocations`)
  return row?.owed ?? 0
}

function revocationContext(id: string) {
  return { purpose: 'revocation', recordId: id, version: 1 } as const
}
