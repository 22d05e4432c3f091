import { connectionList, type listAgentConnectionsQuery } from '@nexus/contracts'
import type { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { withQuery } from './with-query.ts'

/** A page of the connections the caller may see; an agent's `user_id` is the Broker's `workspace_id`. */
export function listConnections(
  broker: BrokerClient,
  { user_id: workspaceId, ...filters }: z.output<typeof listAgentConnectionsQuery>,
  caller: Caller,
): Promise<z.output<typeof connectionList>> {
  const path = withQuery('/connections', { workspace_id: workspaceId, ...filters })
  return broker.call({ method: 'GET', path, answer: connectionList }, caller)
}
