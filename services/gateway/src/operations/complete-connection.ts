import { type CompleteAgentConnection, type ConnectionCompleted, connectionCompleted } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import { brokerUnavailable } from '../broker/broker-errors.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'

/**
 * Hands on what an app's server says: which of its users came back. Only the app knows, so its token holds a permission of
 * its own, which no other implies.
 * @throws AppError those of the Broker
 */
export async function completeConnection(
  broker: BrokerClient,
  { connection_id: connectionId, user_id: workspaceId, completion_code }: CompleteAgentConnection,
  caller: Caller,
): Promise<ConnectionCompleted> {
  const path = `${connectionPath(connectionId)}/complete`
  const body = { completion_code, workspace_id: workspaceId }
  const completed = await broker.call(
    { method: 'POST', path, body, answer: connectionCompleted, patience: 'longest' },
    caller,
  )
  if (completed.connection_id !== connectionId) throw brokerUnavailable('the Broker answered for another connection')
  return completed
}
