import type { Queryable } from '../db/database.ts'
import { type Use, usesAsRows } from '../db/last-used.ts'
import { prepared, sql } from '../db/sql.ts'

export type IdentityRow = {
  readonly lookup: string
  /** Of agent_changes, at the moment of the look. */
  readonly seq: number
  /** null: there is no such token. */
  readonly keyId: string | null
  readonly hash: Buffer
  readonly owner: string
  readonly isAdmin: boolean
  readonly isRevoked: boolean
  /** null: it does not expire. */
  readonly secondsLeft: number | null
  readonly zones: readonly string[]
  readonly permissions: readonly string[]
}

/** One look at the tokens of a batch of callers, with the number of changes that it has seen: one snapshot. */
export function selectIdentities(database: Queryable, lookups: readonly string[]): Promise<readonly IdentityRow[]> {
  return database.query<IdentityRow>(
    prepared(
      'identities',
      sql`
    select asked.lookup as "lookup", s.seq::float8 as "seq", a.id as "keyId", a.token_hash as "hash",
           a.owner as "owner", a.is_admin as "isAdmin", a.revoked_at is not null as "isRevoked",
           extract(epoch from a.expires_at - now())::float8 as "secondsLeft",
           coalesce(g.zones, '{}') as "zones", coalesce(g.permissions, '{}') as "permissions"
      from agent_changes s
     cross join unnest(${lookups}::text[]) as asked (lookup)
      left join agent_tokens a on a.lookup = asked.lookup
      left join lateral (
        select array_agg(z.zone order by z.place) as zones, array_agg(z.permissions order by z.place) as permissions
          from agent_token_zones z
         where z.token_id = a.id
      ) g on true`,
    ),
  )
}

export type Changes = {
  readonly seq: number
  /** Lookups of the tokens that changed since, at most one more than `limit`. */
  readonly changed: readonly string[]
}

/** What changed after the change numbered `since`. */
export async function selectChanges(database: Queryable, since: number, limit: number): Promise<Changes> {
  const [row] = await database.query<Changes>(
    prepared(
      'agent-changes',
      sql`
    select s.seq::float8 as "seq",
           array(select a.lookup from agent_tokens a where a.changed_seq > ${since}::bigint limit ${limit + 1}::int) as "changed"
      from agent_changes s`,
    ),
  )
  if (row === undefined) throw new Error('agent_changes has lost its row')
  return row
}

/**
 * Numbers a change that takes something away. Its row stays locked until the transaction ends, so the order of the numbers
 * is the order of the commits: whoever has read a number has seen everything below it.
 */
export async function raiseChanges(transaction: Queryable): Promise<number> {
  const [row] = await transaction.query<{ seq: number }>(sql`
    update agent_changes set seq = seq + 1 returning seq::float8 as seq`)
  if (row === undefined) throw new Error('agent_changes has lost its row')
  return row.seq
}

/**
 * Waits for the change that is under way, and keeps the next one from beginning until the transaction ends. What its later
 * statements read of tokens is therefore as it stays: a lock on the token's own row would wait for a change, and then read
 * its zones as they were before.
 */
export async function holdChanges(transaction: Queryable): Promise<void> {
  await transaction.query(sql`select from agent_changes for no key update`)
}

/** In the order of ids, passing over rows that somebody holds; at most once a minute per row. */
export async function touchTokens(database: Queryable, uses: readonly Use[]): Promise<void> {
  await database.query(sql`
    with used as (
      select a.id, u.at
        from ${usesAsRows(uses)} u
        join agent_tokens a on a.id = u.id
       where a.last_used_at is null or a.last_used_at < u.at - interval '1 minute'
       order by a.id
         for no key update of a skip locked
    )
    update agent_tokens a set last_used_at = used.at from used where a.id = used.id`)
}
