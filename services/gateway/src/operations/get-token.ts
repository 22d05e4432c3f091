import { credentialPayload, type CredentialPayload } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'
import { withoutMasterSecrets } from './without-master-secrets.ts'

/** The credential of a connection, refreshed first where it must be. */
export async function getToken(broker: BrokerClient, connectionId: string, caller: Caller): Promise<CredentialPayload> {
  const path = `${connectionPath(connectionId)}/token`
  const payload = await broker.call({ method: 'GET', path, answer: credentialPayload, patience: 'long' }, caller)
  return withoutMasterSecrets(payload)
}
