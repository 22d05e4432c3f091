import type { StatePayload, StateSigner } from '@nexus/crypto'
import { AppError } from '@nexus/service'

export type VerifyState = StateSigner['verify']

/**
 * H1: what Nexus did not sign never reaches the Broker. Age is not judged here: the Broker's rows know it by the
 * database's clock, and an edge whose own clock is wrong must fail no handshake (R9).
 * @throws AppError `invalid_state`, in the words of the Broker: which of the two refuses is nobody's business
 */
export function assertSigned(verifyState: VerifyState, state: string): void {
  if (verifyState(state) === undefined) throw new AppError('invalid_state', 'The state is not valid here')
}

/**
 * Checks a state before it is handed to an agent: keys that differ would else only show when the person comes back from
 * the provider. @throws AppError `state_key_mismatch`, logged with what to do
 */
export function assertStateNames(verifyState: VerifyState, state: string, connectionId: string): void {
  const mismatch = findMismatch(verifyState(state), connectionId)
  if (mismatch === undefined) return
  throw new AppError('state_key_mismatch', 'The state could not be verified', { internalDetail: mismatch })
}

function findMismatch(state: StatePayload | undefined, connectionId: string): string | undefined {
  if (state === undefined) return "the Broker's state does not verify: give Broker and Gateway the same STATE_KEY"
  if (state.connectionId !== connectionId) return "the Broker's state names another connection than its answer"
  // the state of an attempt is the provider's alone to bring back (H3)
  return state.purpose === 'request' ? undefined : "the Broker's state is not one for a request"
}
