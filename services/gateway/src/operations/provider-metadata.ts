import { providerMetadata } from '@nexus/contracts'
import type { z } from 'zod'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'

/** What an agent needs to use each provider's API, by auth type and name. */
export function readProviderMetadata(broker: BrokerClient, caller: Caller): Promise<z.output<typeof providerMetadata>> {
  return broker.call({ method: 'GET', path: '/providers/metadata', answer: providerMetadata }, caller)
}
