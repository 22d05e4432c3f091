import type { Secret } from '@nexus/config'
import { type CompleteAgentConnection, type ConnectionCompleted, connectionCompleted } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import { brokerUnavailable } from '../broker/broker-errors.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'

/**
 * Hands on what an app's server says: which of its users came back. Only the app knows, so the key is its own; the
 * Gateway's, with which agents are served, says nothing here.
 * @throws AppError those of the Broker
 */
export async function completeConnection(
  broker: BrokerClient,
  { connection_id: connectionId, user_id: workspaceId, completion_code }: CompleteAgentConnection,
  callerKey: Secret<string>,
  caller: Caller,
): Promise<ConnectionCompleted> {
  const path = `${connectionPath(connectionId)}/complete`
  const body = { completion_code, workspace_id: workspaceId }
  const completed = await broker.call(
    { method: 'POST', path, body, callerKey, answer: connectionCompleted, patience: 'longest' },
    caller,
  )
  if (completed.connection_id !== connectionId) throw brokerUnavailable('the Broker answered for another connection')
  return completed
}
