import { isNexusError, NexusError } from './errors.ts'
import { type Answer, readAnswer } from './read-answer.ts'
import type { Timing } from './timing.ts'

export type Fetch = typeof globalThis.fetch

/** Milliseconds. */
export type Timeouts = {
  /** For one answer. */
  readonly attempt: number
  /** For one answer that may wait for a provider, with whom Nexus has patience for 30 s. */
  readonly provider: number
  /** For the answer to `completeConnection`, for which the provider is asked several things: 65 s. */
  readonly completion: number
  /** For a call with all its repetitions and pauses. */
  readonly total: number
}

export type Transport = {
  /** Ends with a slash. */
  readonly baseUrl: URL
  readonly headers: Headers
  readonly token: () => Promise<string | undefined>
  readonly fetch: Fetch
  readonly timeouts: Timeouts
  readonly timing: Timing
}

export type Call = {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below the base, encoded. */
  readonly path: string
  readonly body?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  /**
   * `safe`: as often as it takes, since a repetition changes nothing; `when-told`: only where Nexus says that it has done
   * nothing and when to come again; `never`.
   */
  readonly repeat: 'safe' | 'when-told' | 'never'
  /** Default: `attempt`. */
  readonly patience?: 'provider' | 'completion'
  readonly signal?: AbortSignal | undefined
}

/**
 * Calls Nexus, again where that is safe and may help.
 *
 * @throws NexusError of the last attempt; the reason of `signal`, when that aborts
 */
export async function callNexus(transport: Transport, call: Call): Promise<Answer> {
  const { timing, timeouts } = transport
  const deadline = timing.now() + timeouts.total
  for (let attempt = 0; ; attempt++) {
    try {
      return await attemptCall(transport, call, deadline - timing.now())
    } catch (error) {
      if (!isNexusError(error) || !mayRepeat(error, call)) throw error
      const pause = pauseBefore(attempt, error.retryAfterSeconds, timing)
      // what would come too late is not waited for: the caller is told when to try again
      if (timing.now() + pause >= deadline) throw error
      await timing.pause(pause, call.signal)
      // a busy machine sleeps longer than it was told to
      if (timing.now() >= deadline) throw error
    }
  }
}

async function attemptCall(transport: Transport, call: Call, left: number): Promise<Answer> {
  const { timeouts, fetch } = transport
  call.signal?.throwIfAborted()
  const within = Math.ceil(Math.min(timeouts[call.patience ?? 'attempt'], left))
  const timeout = AbortSignal.timeout(within)
  const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal])
  const headers = await describeCall(transport, call)
  const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) }
  try {
    // a redirect would carry the token somewhere else
    const options = { method: call.method, headers, redirect: 'manual', signal, ...body } as const
    return await readAnswer(await fetch(new URL(call.path, transport.baseUrl), options))
  } catch (error) {
    call.signal?.throwIfAborted()
    if (timeout.aborted) throw new NexusError('timeout', `no answer from Nexus within ${within} ms`, { cause: error })
    if (isNexusError(error)) throw error
    const problem = `Nexus at ${transport.baseUrl.host} cannot be reached${describeReason(error)}`
    throw new NexusError('network_error', problem, { cause: error })
  }
}

/** Why a connection failed is in the cause of what fetch throws, as a code of the system: ECONNREFUSED, ENOTFOUND … */
function describeReason(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : ''
}

async function describeCall({ headers: always, token }: Transport, call: Call): Promise<Headers> {
  const headers = new Headers(always)
  headers.set('accept', 'application/json')
  if (call.body !== undefined) headers.set('content-type', 'application/json')
  const shown = await token()
  if (shown !== undefined) headers.set('authorization', `Bearer ${assertSendable(shown, 'token')}`)
  for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, assertSendable(value, name))
  return headers
}

/** Before `Headers` sees it, whose own error quotes the value. @throws TypeError with the name alone */
export function assertSendable(value: string, name: string): string {
  if (value === '' || !/^[\t\x20-\x7e]*$/.test(value)) throw new TypeError(`${name} cannot be sent in a header`)
  return value
}

const passing = ['network_error', 'timeout', 'rate_limited', 'unavailable', 'key_unavailable'] as const
const passingWithBroker = ['broker_unavailable', 'provider_unavailable', 'refresh_in_progress'] as const
const passingStatuses: readonly (number | undefined)[] = [429, 502, 503, 504]

/** A failure that may be over in a moment. */
export function isPassing(error: unknown): boolean {
  if (isNexusError(error, ...passing, ...passingWithBroker)) return true
  // a proxy whose service is away answers in its own words
  return isNexusError(error, 'unexpected_answer', 'unknown_code') && passingStatuses.includes(error.status)
}

function mayRepeat(error: NexusError, call: Call): boolean {
  if (call.repeat === 'safe') return isPassing(error)
  return (
    call.repeat === 'when-told' && error.status === 503 && error.retryAfterSeconds !== undefined && isPassing(error)
  )
}

const firstPause = 200
const longestPause = 5000

/** Milliseconds: twice as long each time, at least what Nexus asks for, and never the same for all who wait. */
export function pauseBefore(attempt: number, retryAfterSeconds: number | undefined, { random }: Timing): number {
  const bound = Math.min(longestPause, firstPause * 2 ** attempt)
  return (retryAfterSeconds ?? 0) * 1000 + bound * (0.5 + random() / 2)
}
