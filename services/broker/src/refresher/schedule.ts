/** When to refresh: pure arithmetic over seconds (data.md, Refresh). */
import { backoffSeconds } from '../maintenance/backoff.ts'

export type ScheduleSettings = {
  /** REFRESH_LEAD_SECONDS. */
  readonly leadSeconds: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** A refresh stored this recently is what a caller who asks for a fresh token wants. */
export const freshForSeconds = 10
/** A provider that revokes on reuse is asked what became of a token only when nothing is left to lose. */
export const lastMinuteSeconds = 60

const daySeconds = 86_400
const shortestAheadSeconds = 120
const backoff = { firstSeconds: 5, longestSeconds: 6 * 3_600 }

/**
 * How long before its expiry a token is refreshed, in seconds, jittered so that tokens granted together do not come due
 * together; undefined for tokens that live under two minutes, which only reads refresh.
 */
export function refreshLead(lifetimeSeconds: number, { leadSeconds, random }: ScheduleSettings): number | undefined {
  if (lifetimeSeconds < shortestAheadSeconds) return undefined
  const lead = Math.min(Math.max(leadSeconds, lifetimeSeconds / 10), lifetimeSeconds / 2, daySeconds)
  return lead + random() * (lead / 10)
}

/**
 * When the refresher looks at a token, in seconds from its issue; undefined: never of its own accord. One that cannot be
 * refreshed is looked at when it ends, to say so.
 */
export function refreshAfter(
  lifetimeSeconds: number | undefined,
  hasRefreshToken: boolean,
  settings: ScheduleSettings,
): number | undefined {
  if (lifetimeSeconds === undefined || !hasRefreshToken) return lifetimeSeconds
  const lead = refreshLead(lifetimeSeconds, settings)
  return lead === undefined ? undefined : lifetimeSeconds - lead
}

/** How little life a token may have left before a read refreshes it first, in seconds. */
export function readMargin(lifetimeSeconds: number): number {
  return Math.min(60, lifetimeSeconds / 4)
}

/**
 * How long to leave a provider alone after the nth failure in a row, in seconds: exponential with jitter in its upper
 * half, at most six hours, and never sooner than the provider asked (Retry-After).
 */
export function retryDelay(failures: number, retryAfterSeconds: number | undefined, random: () => number): number {
  return Math.min(Math.max(backoffSeconds(failures, backoff, random), retryAfterSeconds ?? 0), daySeconds)
}
