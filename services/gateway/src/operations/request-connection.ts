import { connectionRequested, type ConnectionRequest, type ConnectionRequested } from '@nexus/contracts'
import type { StatePayload, StateSigner } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'

export type RequestConnectionDeps = {
  readonly broker: BrokerClient
  readonly verifyState: StateSigner['verify']
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
  const mismatch = findMismatch(deps.verifyState(requested.state), requested)
  if (mismatch === undefined) return requested
  throw new AppError('state_key_mismatch', 'The state could not be verified', { internalDetail: mismatch })
}

function findMismatch(state: StatePayload | undefined, requested: ConnectionRequested): string | undefined {
  if (state === undefined) return "the Broker's state does not verify: give Broker and Gateway the same STATE_KEY"
  if (state.connectionId !== requested.connection_id)
    return "the Broker's state names another connection than its answer"
  // the state of an attempt is the provider's alone to bring back (H3)
  return state.purpose === 'request' ? undefined : "the Broker's state is not one for a request"
}
