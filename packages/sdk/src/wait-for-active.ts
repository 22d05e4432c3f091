import { isPassing } from './call-nexus.ts'
import { isNexusError, NexusError, type NexusErrorCode } from './errors.ts'
import type { Timing } from './timing.ts'
import type { CheckedConnection, ConnectionStatus } from './types.ts'

export type WaitOptions = {
  /** How long a person may take, in milliseconds. Default: 10 minutes. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const usualTimeout = 600_000
// what timers can hold
const longestTimeout = 2 ** 31 - 1
const firstPause = 1000
const longestPause = 10_000

type Check = (signal: AbortSignal) => Promise<CheckedConnection>

/**
 * Asks until the person has connected, less and less often. `attention_required` is waited out too, since a reconnect
 * begins there, and so is a Nexus that is away for a moment.
 *
 * @throws NexusError `connection_failed`, `connection_expired` or `connection_revoked`, with `details.statusReason`;
 *   `timeout`, with `details.status` as last seen; those of `check`; the reason of `signal`
 */
export async function waitForActive(
  check: Check,
  timing: Timing,
  { timeoutMs = usualTimeout, signal }: WaitOptions,
): Promise<CheckedConnection> {
  const timeout = AbortSignal.timeout(Math.min(Math.ceil(timeoutMs), longestTimeout))
  const either = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
  let lastSeen: CheckedConnection | undefined
  try {
    for (let pause = firstPause; ; pause = Math.min(longestPause, pause * 1.5)) {
      lastSeen = (await look(check, either)) ?? lastSeen
      if (lastSeen?.status === 'active') return lastSeen
      if (lastSeen !== undefined) assertMayComeYet(lastSeen)
      await timing.pause(pause * (0.75 + timing.random() / 2), either)
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw timeout.aborted && !isNexusError(error) ? timedOut(timeoutMs, lastSeen) : error
  }
}

async function look(check: Check, signal: AbortSignal): Promise<CheckedConnection | undefined> {
  try {
    return await check(signal)
  } catch (error) {
    if (isPassing(error)) return undefined
    throw error
  }
}

const endings: Partial<Record<ConnectionStatus, NexusErrorCode>> = {
  failed: 'connection_failed',
  expired: 'connection_expired',
  revoked: 'connection_revoked',
}

function assertMayComeYet({ status, statusReason }: CheckedConnection): void {
  const ending = endings[status]
  if (ending === undefined) return
  const because = statusReason === null ? '' : `: ${statusReason}`
  throw new NexusError(ending, `the connection has ${status === 'revoked' ? 'been ' : ''}${status}${because}`, {
    details: { status, statusReason },
  })
}

function timedOut(timeoutMs: number, lastSeen: CheckedConnection | undefined): NexusError {
  const status = lastSeen?.status
  const seen = status === undefined ? 'Nexus did not say how far it is' : `it is ${status}`
  const message = `the connection did not become active within ${timeoutMs < 1000 ? `${timeoutMs} ms` : `${timeoutMs / 1000} s`}: ${seen}`
  return new NexusError('timeout', message, { details: { status } })
}
