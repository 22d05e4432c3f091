import { credentialPayload, type CredentialPayload } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { connectionPath } from './get-connection.ts'
import { withoutMasterSecrets } from './without-master-secrets.ts'

/** The credential of a connection, fresh from the provider. */
export async function refreshConnection(
  broker: BrokerClient,
  connectionId: string,
  caller: Caller,
): Promise<CredentialPayload> {
  const path = `${connectionPath(connectionId)}/refresh`
  const payload = await broker.call({ method: 'POST', path, answer: credentialPayload, patience: 'long' }, caller)
  return withoutMasterSecrets(payload)
}
