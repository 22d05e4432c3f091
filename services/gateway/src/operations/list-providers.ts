import { providerList } from '@nexus/contracts'
import type { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'

/** The providers an agent can ask a connection for. */
export function listProviders(broker: BrokerClient, caller: Caller): Promise<z.output<typeof providerList>> {
  return broker.call({ method: 'GET', path: '/providers', answer: providerList }, caller)
}
