import { connectionRequested, type ConnectionRequested, type ReconnectRequest } from '@nexus/contracts'
import { brokerUnavailable } from '../broker/broker-errors.ts'
import type { Caller } from './caller.ts'
import { assertStateNames } from './check-state.ts'
import { connectionPath } from './get-connection.ts'
import type { RequestConnectionDeps } from './request-connection.ts'

/**
 * Asks the Broker for a link by which the person of a connection consents anew. The connection keeps its id, and what it
 * has until then. The answer is checked like that of a first request.
 *
 * @throws AppError `state_key_mismatch`; those of the Broker
 */
export async function reconnectConnection(
  deps: RequestConnectionDeps,
  connectionId: string,
  wanted: ReconnectRequest,
  idempotencyKey: string | undefined,
  caller: Caller,
): Promise<ConnectionRequested> {
  const path = `${connectionPath(connectionId)}/reconnect`
  const requested = await deps.broker.call(
    { method: 'POST', path, body: wanted, idempotencyKey, answer: connectionRequested },
    caller,
  )
  assertStateNames(deps.verifyState, requested.state, requested.connection_id)
  // a link that reconnects another one would hand this person's account to somebody else's connection
  if (requested.connection_id !== connectionId) throw brokerUnavailable('the Broker answered for another connection')
  return requested
}
