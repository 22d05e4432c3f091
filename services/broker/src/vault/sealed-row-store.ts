import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SealedKind } from './sealed-kinds.ts'

/** A sealed secret with all it is bound to, as one statement saw it. */
export type SealedRow = {
  readonly id: string
  readonly version: number
  readonly sealed: Buffer
  readonly keyId: string
}

/** Before every id. */
export const beginning = '00000000-0000-0000-0000-000000000000'

/** The next rows that a key sealed, in the order of their ids: the index has both. */
export async function selectRowsOfKey(
  database: Queryable,
  kind: SealedKind,
  keyId: string,
  after: string,
  limit: number,
): Promise<readonly SealedRow[]> {
  return database.query<SealedRow>(sql`
    select ${kind.id} as id, ${kind.version} as version, ${kind.sealed} as sealed, encode(key_id, 'hex') as "keyId"
      from ${kind.table}
     where key_id = decode(${keyId}::text, 'hex') and ${kind.id} > ${after}::uuid
     order by ${kind.id}
     limit ${limit}::int`)
}

export type Resealed = { readonly row: SealedRow; readonly anew: Buffer }

/**
 * Puts new ciphertexts in the place of the very ones that were read. A row that is another by now, or that somebody
 * holds, is left alone: nothing waits here, so nothing waits for us, and a row that still needs it is found again.
 *
 * @param keyId - of the key that sealed them anew
 * @returns how many rows were changed
 */
export async function updateResealedRows(
  database: Queryable,
  kind: SealedKind,
  keyId: string,
  resealed: readonly Resealed[],
): Promise<number> {
  const rows = await database.query(sql`
    with held as (
      select ${kind.id} as held_id, anew
        from ${kind.table}
        join unnest(
          ${resealed.map(({ row }) => row.id)}::uuid[], ${resealed.map(({ row }) => row.version)}::int[],
          ${resealed.map(({ row }) => row.sealed)}::bytea[], ${resealed.map(({ row }) => row.keyId)}::text[],
          ${resealed.map(({ anew }) => anew)}::bytea[]
        ) as read (read_id, read_version, was, was_by, anew)
          on ${kind.id} = read_id
       where ${kind.version} = read_version and ${kind.sealed} = was and key_id = decode(was_by, 'hex')
         for no key update of ${kind.table} skip locked
    )
    update ${kind.table} set ${kind.sealed} = held.anew, key_id = decode(${keyId}::text, 'hex')
      from held
     where ${kind.id} = held_id
    returning held_id`)
  return rows.length
}

/** The next rows of a kind, whatever key sealed them. */
export async function selectSealedRows(
  database: Queryable,
  kind: SealedKind,
  after: string,
  limit: number,
): Promise<readonly SealedRow[]> {
  return database.query<SealedRow>(sql`
    select ${kind.id} as id, ${kind.version} as version, ${kind.sealed} as sealed, encode(key_id, 'hex') as "keyId"
      from ${kind.table}
     where ${kind.id} > ${after}::uuid and ${kind.sealed} is not null
     order by ${kind.id}
     limit ${limit}::int`)
}

/** Another look at some of them; those without a secret by now are not among the answer. */
export async function selectSealedRowsById(
  database: Queryable,
  kind: SealedKind,
  ids: readonly string[],
): Promise<readonly SealedRow[]> {
  return database.query<SealedRow>(sql`
    select ${kind.id} as id, ${kind.version} as version, ${kind.sealed} as sealed, encode(key_id, 'hex') as "keyId"
      from ${kind.table}
     where ${kind.id} = any (${ids}::uuid[]) and ${kind.sealed} is not null
     order by ${kind.id}`)
}
