import { connection, type Connection } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'

/** Everything about a connection but its credential. */
export function getConnection(broker: BrokerClient, connectionId: string, caller: Caller): Promise<Connection> {
  return broker.call({ method: 'GET', path: connectionPath(connectionId), answer: connection }, caller)
}

export function connectionPath(connectionId: string): string {
  return `/connections/${encodeURIComponent(connectionId)}`
}
