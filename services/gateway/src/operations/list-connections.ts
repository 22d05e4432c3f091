import { connectionList, type listAgentConnectionsQuery } from '@nexus/contracts'
import type { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'

/** A page of the connections the caller may see; an agent's `user_id` is the Broker's `workspace_id`. */
export function listConnections(
  broker: BrokerClient,
  { user_id: workspaceId, ...filters }: z.output<typeof listAgentConnectionsQuery>,
  caller: Caller,
): Promise<z.output<typeof connectionList>> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ workspace_id: workspaceId, ...filters })) {
    if (value !== undefined) query.set(name, String(value))
  }
  return broker.call({ method: 'GET', path: `/connections?${query.toString()}`, answer: connectionList }, caller)
}
