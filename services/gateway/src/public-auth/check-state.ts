import { isFresh, type StateSigner } from '@nexus/crypto'
import { AppError } from '@nexus/service'

export type StateChecker = {
  readonly verify: StateSigner['verify']
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/**
 * Checks a state before it may reach the Broker. The attempt's row decides when a state expires; the edge only keeps
 * out what no attempt can still wait for (H1).
 *
 * @throws AppError `invalid_state` for one that Nexus did not sign or that lies in the future; `link_expired` for one
 * that is older than any attempt lives
 */
export function checkState(state: string, checker: StateChecker): void {
  const payload = checker.verify(state)
  if (payload === undefined) throw new AppError('invalid_state', 'The state was not made by this Nexus')
  const nowSeconds = checker.now() / 1000
  if (isFresh(payload, nowSeconds)) return
  throw payload.issuedAt < nowSeconds
    ? new AppError('link_expired', 'The state has expired')
    : new AppError('invalid_state', 'The state lies in the future')
}
