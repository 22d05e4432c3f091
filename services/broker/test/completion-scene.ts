import type { ConnectionCompleted } from '@nexus/contracts'
import type { TestDatabase } from '@nexus/testing'
import { type Journey, type Scripted, arrive, returned, travel } from './handshake-scene.ts'
import type { Answer, Client } from './harness.ts'

type Fields = Readonly<Record<string, unknown>>
type Pool = TestDatabase['pool']

/** Whose account it is to be, unless a test says otherwise. */
export const person = 'user-1'

/** A journey whose person is back at the app, with the code that completes it. */
export type Held = Journey & { readonly completionCode: string }

/** Takes the last step of a journey whose app completes it. */
export async function comeBack(journey: Journey): Promise<Held> {
  const { status, connection_id, completion_code = '' } = returned(await arrive(journey))
  if (status !== 'completion_required' || connection_id !== journey.connection_id) {
    throw new Error(`nothing is held: ${status}`)
  }
  return { ...journey, completionCode: completion_code }
}

export async function travelHeld(broker: Client, provider: Pick<Scripted, 'name'>, spec: Fields = {}): Promise<Held> {
  return comeBack(await travel(broker, provider, { completion: 'app', ...spec }))
}

export type CompletionError = { readonly code: string; readonly details?: Fields }

/** What the app's server says: this user came back with this code. */
export function complete(
  broker: Client,
  { connection_id, completionCode }: Pick<Held, 'connection_id' | 'completionCode'>,
  workspaceId: string = person,
): Promise<Answer<ConnectionCompleted & CompletionError>> {
  const body = { completion_code: completionCode, workspace_id: workspaceId }
  return broker.send('POST', `/connections/${connection_id}/complete`, { body })
}

/** How many secrets lie in the attempts of a connection: what is held is one. */
export async function countSecrets(pool: Pool, connectionId: string): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from handshake_attempts a join handshakes h on h.id = a.handshake_id
      where h.connection_id = $1 and a.secrets is not null`,
    [connectionId],
  )
  return rows[0]?.n ?? -1
}

/** As if the app had taken longer than it may. */
export async function passHold(pool: Pool, connectionId: string): Promise<void> {
  const { rowCount } = await pool.query(
    `update handshakes set held_until = now() - interval '1 second' where connection_id = $1 and held_until is not null`,
    [connectionId],
  )
  if (rowCount !== 1) throw new Error(`nothing is held for ${connectionId}`)
}
