import type { Queryable } from '../db/database.ts'
import { fragment, sql } from '../db/sql.ts'

/** What is told of a token: nothing by which it could be used. */
export type StoredToken = {
  readonly keyId: string
  readonly prefix: string
  readonly name: string
  readonly owner: string
  readonly firstZone: string
  readonly isAdmin: boolean
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly lastUsedAt: Date | null
  readonly revokedAt: Date | null
  readonly zones: readonly { readonly zone: string; readonly permissions: string }[]
  /** `created_at` to the microsecond, for the cursor. */
  readonly position: string
}

const columns = fragment`
  a.id as "keyId", a.prefix as "prefix", a.name as "name", a.owner as "owner", a.first_zone as "firstZone",
  a.is_admin as "isAdmin", a.created_at as "createdAt", a.expires_at as "expiresAt", a.last_used_at as "lastUsedAt",
  a.revoked_at as "revokedAt", a.created_at::text as "position",
  coalesce((select json_agg(json_build_object('zone', z.zone, 'permissions', z.permissions) order by z.place)
              from agent_token_zones z where z.token_id = a.id), '[]') as "zones"`

/** Tokens all of whose zones lie among these, and which are no administrator's; null: every token. */
const within = (zones: readonly string[] | undefined) => fragment`
  (${zones ?? null}::text[] is null
   or (not a.is_admin
       and exists (select from agent_token_zones z where z.token_id = a.id)
       and not exists (select from agent_token_zones z
                        where z.token_id = a.id and z.zone <> all (${zones ?? null}::text[]))))`

export async function selectToken(
  database: Queryable,
  keyId: string,
  zones: readonly string[] | undefined,
): Promise<StoredToken | undefined> {
  const [row] = await database.query<StoredToken>(sql`
    select ${columns} from agent_tokens a where a.id = ${keyId}::uuid and ${within(zones)}`)
  return row
}

export type TokenFilter = {
  /** undefined: all. */
  readonly zones: readonly string[] | undefined
  readonly showsRevoked: boolean
  readonly match: TokenMatch | undefined
  readonly after: { readonly position: string; readonly id: string } | undefined
  readonly limit: number
}

export type TokenMatch = {
  readonly name: string
  /** The beginning of a key id; undefined: the text cannot be one. */
  readonly keyIdStart: string | undefined
}

/** One page, newest first. */
export function selectTokens(
  database: Queryable,
  { zones, showsRevoked, match, after, limit }: TokenFilter,
): Promise<readonly StoredToken[]> {
  return database.query<StoredToken>(sql`
    select ${columns}
      from agent_tokens a
     where ${within(zones)}
       and (${showsRevoked}::boolean or a.revoked_at is null)
       and (${match?.name ?? null}::text is null
            or a.name = ${match?.name ?? null}::text or a.prefix = ${match?.name ?? null}::text
            or starts_with(a.id::text, ${match?.keyIdStart ?? null}::text))
       and (${after?.position ?? null}::timestamptz is null
            or (a.created_at, a.id) < (${after?.position ?? null}::timestamptz, ${after?.id ?? null}::uuid))
     order by a.created_at desc, a.id desc
     limit ${limit}::int`)
}

export type NewToken = {
  readonly keyId: string
  readonly lookup: string
  readonly hash: Buffer
  readonly prefix: string
  readonly name: string
  readonly owner: string
  readonly firstZone: string
  readonly isAdmin: boolean
  readonly expiresInSeconds: number | undefined
  readonly createdBy: string | undefined
}

/** @returns false where the lookup is taken; a taken name is the database's own complaint */
export async function insertToken(transaction: Queryable, token: NewToken): Promise<boolean> {
  const rows = await transaction.query(sql`
    insert into agent_tokens (id, lookup, token_hash, prefix, name, owner, first_zone, is_admin, expires_at,
                              created_by, changed_seq)
    values (${token.keyId}::uuid, ${token.lookup}::text, ${token.hash}::bytea, ${token.prefix}::text,
            ${token.name}::text, ${token.owner}::text, ${token.firstZone}::text, ${token.isAdmin}::boolean,
            now() + make_interval(secs => ${token.expiresInSeconds ?? null}::float8), ${token.createdBy ?? null}::text, 0)
    on conflict (lookup) do nothing
    returning id`)
  return rows.length === 1
}

export type Grant = { readonly zone: string; readonly permissions: string }

/** Adds zones behind those that are there; one that is there gets these permissions instead. */
export async function upsertGrants(transaction: Queryable, keyId: string, grants: readonly Grant[]): Promise<void> {
  await transaction.query(sql`
    insert into agent_token_zones (token_id, zone, permissions, place)
    select ${keyId}::uuid, g.zone, g.permissions,
           g.place + coalesce((select max(place) from agent_token_zones where token_id = ${keyId}::uuid), 0)
      from unnest(${grants.map(({ zone }) => zone)}::text[], ${grants.map(({ permissions }) => permissions)}::text[])
        with ordinality as g (zone, permissions, place)
    on conflict (token_id, zone) do update set permissions = excluded.permissions`)
}

export async function deleteGrant(transaction: Queryable, keyId: string, zone: string): Promise<boolean> {
  const rows = await transaction.query(sql`
    delete from agent_token_zones where token_id = ${keyId}::uuid and zone = ${zone}::text returning zone`)
  return rows.length === 1
}

/** Notes the number of a change, so that everybody who remembers the token forgets it. */
export async function updateChanged(transaction: Queryable, keyId: string, seq: number): Promise<void> {
  await transaction.query(sql`
    update agent_tokens set changed_seq = ${seq}::bigint where id = ${keyId}::uuid`)
}

/** Living → revoked. @returns false where it was before */
export async function updateToRevoked(transaction: Queryable, keyId: string, seq: number): Promise<boolean> {
  const rows = await transaction.query(sql`
    update agent_tokens set revoked_at = now(), changed_seq = ${seq}::bigint
     where id = ${keyId}::uuid and revoked_at is null
    returning id`)
  return rows.length === 1
}

/** Tokens that could do nothing without this zone. They keep it, as a record of what they were. */
export async function revokeTokensOfZoneAlone(transaction: Queryable, zone: string, seq: number): Promise<number> {
  const rows = await transaction.query(sql`
    update agent_tokens a set revoked_at = now(), changed_seq = ${seq}::bigint
     where a.revoked_at is null and not a.is_admin
       and a.id in (select token_id from agent_token_zones where zone = ${zone}::text)
       and not exists (select from agent_token_zones z where z.token_id = a.id and z.zone <> ${zone}::text)
    returning a.id`)
  return rows.length
}

export async function deleteGrantsOfZone(transaction: Queryable, zone: string, seq: number): Promise<void> {
  await transaction.query(sql`
    with taken as (
      delete from agent_token_zones z using agent_tokens a
       where z.zone = ${zone}::text and a.id = z.token_id and a.revoked_at is null
      returning z.token_id
    )
    update agent_tokens a set changed_seq = ${seq}::bigint from taken where a.id = taken.token_id`)
}

/**
 * Of living tokens that lost the zone in which their name was taken: it is taken in the first of their others where it is
 * free, since nobody in the old one is to learn it from there, nor anybody in the others what the old one was. Where it is
 * free in none it stays where it was: a zone can always be taken away.
 * @param keyId - of one token; undefined: of all that the zone had
 */
export async function updateFirstZones(transaction: Queryable, zone: string, keyId?: string): Promise<void> {
  await transaction.query(sql`
    update agent_tokens a set first_zone = next.zone
      from (select t.id,
                   (select c.zone
                      from (select z.zone, z.place from agent_token_zones z where z.token_id = t.id
                            union all
                            select 'root', null where t.is_admin) as c
                     where not exists (select from agent_tokens o
                                        where o.first_zone = c.zone and o.name = t.name and o.revoked_at is null)
                     order by c.place nulls last
                     limit 1) as zone
              from agent_tokens t
             where t.first_zone = ${zone}::text and t.revoked_at is null
               and (${keyId ?? null}::uuid is null or t.id = ${keyId ?? null}::uuid)
               and not exists (select from agent_token_zones z where z.token_id = t.id and z.zone = ${zone}::text)) as next
     where a.id = next.id and next.zone is not null`)
}

/** What revoked tokens kept of it. */
export async function deleteRecordsOfZone(transaction: Queryable, zone: string): Promise<void> {
  await transaction.query(sql`delete from agent_token_zones where zone = ${zone}::text`)
}

export type Authority = {
  readonly isAdmin: boolean
  /** null: it does not expire. */
  readonly expiresAt: Date | null
  readonly secondsLeft: number | null
  readonly zones: readonly Grant[]
}

/** What a living token may do now. */
export async function selectAuthority(database: Queryable, keyId: string): Promise<Authority | undefined> {
  const [row] = await database.query<Authority>(sql`
    select a.is_admin as "isAdmin", a.expires_at as "expiresAt", extract(epoch from a.expires_at - now())::float8 as "secondsLeft",
           coalesce((select json_agg(json_build_object('zone', z.zone, 'permissions', z.permissions))
                       from agent_token_zones z where z.token_id = a.id), '[]') as "zones"
      from agent_tokens a
     where a.id = ${keyId}::uuid and a.revoked_at is null and (a.expires_at is null or a.expires_at > now())`)
  return row
}

export type TokenCounts = { readonly active: number; readonly revoked: number }

export async function countTokens(database: Queryable, zones: readonly string[] | undefined): Promise<TokenCounts> {
  const [row] = await database.query<TokenCounts>(sql`
    select count(*) filter (where revoked_at is null and (expires_at is null or expires_at > now()))::int as active,
           count(*) filter (where revoked_at is not null)::int as revoked
      from agent_tokens a
     where ${within(zones)}`)
  return row ?? { active: 0, revoked: 0 }
}

/** Living tokens by each of `names`; none: it is absent. */
export async function countTokensByZone(
  database: Queryable,
  names: readonly string[],
  zones: readonly string[] | undefined,
): Promise<ReadonlyMap<string, number>> {
  const rows = await database.query<{ zone: string; count: number }>(sql`
    select g.zone, count(*)::int as count
      from agent_token_zones g
      join agent_tokens a on a.id = g.token_id
     where g.zone = any (${names}::text[])
       and a.revoked_at is null and (a.expires_at is null or a.expires_at > now())
       and ${within(zones)}
     group by g.zone`)
  return new Map(rows.map(({ zone, count }) => [zone, count]))
}
