import type { AppError } from '@nexus/service'
import type { RefreshOutcome } from '../oauth/provider-client.ts'

/** How an attempt ended, before it is recorded: the provider's answer, or what kept the token from being presented. */
export type Ending =
  | Exclude<RefreshOutcome, { readonly kind: 'held_back' }>
  /** The secrets do not open: nothing is wrong with grant or provider. */
  | { readonly kind: 'unopened'; readonly error: AppError }
  /** There is no refresh token, and the access token still lives. */
  | { readonly kind: 'not_renewable' }

/** What an attempt came to, once it is recorded. */
export type AttemptResult =
  | { readonly kind: 'refreshed' | 'not_renewable' }
  /** Somebody else's claim or change counts by now: look again. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'attention_required'; readonly reason: string }
  | { readonly kind: 'client_refused'; readonly error: string | undefined }
  | { readonly kind: 'transient'; readonly retryInSeconds: number }
  | { readonly kind: 'unopened'; readonly error: AppError }
  /** The database is away: the answer is kept and stored when it returns. */
  | { readonly kind: 'kept' }
