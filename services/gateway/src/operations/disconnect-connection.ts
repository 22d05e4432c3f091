import { type Disconnected, disconnected } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'

/** Ends a connection: its secrets are forgotten, and revoked at the provider. Repeating it does nothing more. */
export function disconnectConnection(
  broker: BrokerClient,
  connectionId: string,
  caller: Caller,
): Promise<Disconnected> {
  const path = connectionPath(connectionId)
  return broker.call({ method: 'DELETE', path, answer: disconnected, patience: 'long' }, caller)
}
