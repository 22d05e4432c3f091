import {
  createRateLimiter,
  rateLimited,
  rateLimitKey,
  type RateLimiterOptions,
  type RateLimitOutcome,
} from '@nexus/service'
import type { AgentIdentity } from './agent-identity.ts'

/** Requests a minute; 0 is no limit. */
export type AgentTiers = {
  /** Of an address, by whoever is nobody in particular. */
  readonly anonymous: number
  /** Of a token. */
  readonly authenticated: number
  /** Of an administrator's token. */
  readonly admin: number
}

export type AgentLimits = {
  /** Counts a request of an agent. @throws AppError `rate_limited` */
  readonly countAgent: (identity: AgentIdentity) => Promise<void>
  /** Counts a request of nobody in particular against its address. @throws AppError `rate_limited` */
  readonly countAddress: (address: string) => Promise<void>
  /** Counts nothing: a token that nobody knows yet may be a good one. @throws AppError `rate_limited` */
  readonly assertMayTry: (address: string) => Promise<void>
  /** Counts what has been answered already. Never throws. */
  readonly noteAgent: (identity: AgentIdentity) => void
  readonly noteAddress: (address: string) => void
}

/**
 * The limits of agents' requests, each tier counted apart: tokens by their key, so that agents behind one address do not
 * share a limit, nor does an agent get more by having many addresses; everybody else by address.
 */
export function createAgentLimits(
  perMinute: AgentTiers,
  shared: Pick<RateLimiterOptions, 'redis' | 'now'>,
): AgentLimits {
  const limiterOf = (tier: keyof AgentTiers) =>
    createRateLimiter({ ...shared, perMinute: perMinute[tier], prefix: `nexus:gateway:${tier}` })
  const anonymous = limiterOf('anonymous')
  const byTier = { authenticated: limiterOf('authenticated'), admin: limiterOf('admin') }

  return {
    countAgent: async ({ tier, keyId }) => {
      assertAllowed(await byTier[tier].check(keyId), 'Too many requests with this token')
    },
    countAddress: async (address) => {
      assertAllowed(await anonymous.check(rateLimitKey(address)), 'Too many requests from this address')
    },
    assertMayTry: async (address) => {
      assertAllowed(await anonymous.peek(rateLimitKey(address)), 'Too many requests from this address')
    },
    noteAgent: ({ tier, keyId }) => void byTier[tier].check(keyId),
    noteAddress: (address) => void anonymous.check(rateLimitKey(address)),
  }
}

function assertAllowed(outcome: RateLimitOutcome, message: string): void {
  if (!outcome.allowed) throw rateLimited(message, outcome.retryAfterSeconds)
}
