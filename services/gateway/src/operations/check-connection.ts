import { checkedConnection } from '@nexus/contracts'
import type { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'

/** How far a connection is; what agents poll while a person signs in. */
export function checkConnection(
  broker: BrokerClient,
  connectionId: string,
  caller: Caller,
): Promise<z.output<typeof checkedConnection>> {
  return broker.call({ method: 'GET', path: connectionPath(connectionId), answer: checkedConnection }, caller)
}
