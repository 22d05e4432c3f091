import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'

export async function insertConnectionNotice(
  transaction: Queryable,
  id: string,
  type: string,
  connectionId: string,
): Promise<void> {
  await transaction.query(sql`
    insert into notices (id, type, data)
    select ${id}::uuid, ${type}::text,
           jsonb_build_object('connection_id', c.id, 'zone', c.zone, 'workspace_id', c.workspace_id, 'provider', p.name,
                              'status', c.status, 'status_reason', c.status_reason)
      from connections c
      join provider_profiles p on p.id = c.provider_id
     where c.id = ${connectionId}::uuid`)
}

export async function insertProviderNotice(
  transaction: Queryable,
  id: string,
  type: string,
  providerId: string,
): Promise<void> {
  await transaction.query(sql`
    insert into notices (id, type, data)
    select ${id}::uuid, ${type}::text, jsonb_build_object('provider_id', p.id, 'provider', p.name, 'reason', p.alarm)
      from provider_profiles p
     where p.id = ${providerId}::uuid`)
}
