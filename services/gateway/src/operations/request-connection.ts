import { connectionRequested, type ConnectionRequest, type ConnectionRequested } from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { type VerifyState, assertStateNames } from './check-state.ts'

export type RequestConnectionDeps = {
  readonly broker: BrokerClient
  readonly verifyState: VerifyState
}

/**
 * Asks the Broker for a link by which a person connects an account; an agent's `user_id` is the Broker's
 * `workspace_id`. The state in the answer is checked here already: keys that differ would else only show when the
 * person comes back from the provider.
 *
 * @throws AppError `state_key_mismatch`; those of the Broker
 */
export async function requestConnection(
  deps: RequestConnectionDeps,
  { user_id: workspaceId, ...request }: ConnectionRequest,
  idempotencyKey: string | undefined,
  caller: Caller,
): Promise<ConnectionRequested> {
  const body = { workspace_id: workspaceId, ...request }
  const requested = await deps.broker.call(
    { method: 'POST', path: '/auth/consent-spec', body, idempotencyKey, answer: connectionRequested },
    caller,
  )
  assertStateNames(deps.verifyState, requested.state, requested.connection_id)
  return requested
}
