import { type OAuthCredentials, sealCredentials } from '../connections/credential-set.ts'
import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { SecretVault } from '../vault/secret-vault.ts'

/** By what an outcome is recognised as that of the present attempt: nobody claimed, presented or changed the token since. */
export type AttemptKey = { readonly connectionId: string; readonly version: number; readonly leaseEpoch: number }

export type RefreshedToken = {
  readonly credentials: OAuthCredentials
  /** Seconds from when the request was sent; null: never expires, as far as anybody said. */
  readonly lifetimeSeconds: number | null
  /** Seconds from when the request was sent; null: never refreshed ahead. */
  readonly refreshAfterSeconds: number | null
}

/**
 * Stores a refreshed grant in place of the token that was presented (data.md, Refresh 6). Lifetimes count from the mark,
 * which the database dated: so an answer that had to wait, in memory or in a file, needs no other clock.
 *
 * @returns false where somebody presented the token again, or changed it: this answer is not to be stored.
 */
export async function updateRefreshedToken(
  transaction: Queryable,
  vault: SecretVault,
  { connectionId, version, leaseEpoch }: AttemptKey,
  token: RefreshedToken,
): Promise<boolean> {
  const { sealed, keyId } = sealCredentials(vault, connectionId, version + 1, token.credentials)
  const rows = await transaction.query(sql`
    update tokens
       set credentials = ${sealed}::bytea, key_id = ${keyId}::bytea, version = ${version + 1}::int,
           has_refresh_token = ${token.credentials.refreshToken !== undefined}::boolean,
           issued_at = sent_at,
           expires_at = sent_at + make_interval(secs => ${token.lifetimeSeconds}::float8),
           refresh_at = sent_at + make_interval(secs => ${token.refreshAfterSeconds}::float8),
           last_refresh_at = now(), next_attempt_at = null, failure_count = 0, outcome_unknown = false,
           attempt_outcome = null, attempt_epoch = null,
           sent_epoch = null, sent_at = null, lease_owner = null, lease_until = null
     where connection_id = ${connectionId}::uuid and version = ${version}::int and sent_epoch = ${leaseEpoch}::bigint
    returning 1`)
  return rows.length === 1
}

/** What an attempt came to that changed no token: for those who wait for it on other Brokers, until the next attempt. */
export type AttemptOutcome = 'transient' | 'client_refused'

export type FailedAttempt = {
  readonly outcome: AttemptOutcome
  readonly retryInSeconds: number
  readonly isOutcomeUnknown: boolean
}

/**
 * Nobody asks again before `retryInSeconds` have passed. A token that may be spent is asked about then and not when it
 * would be due: the grace that its provider grants is passing. An attempt that presented nothing leaves the mark of the one
 * that did, whose answer may still come.
 *
 * @returns false where somebody else's attempt counts by now, or this outcome is recorded already.
 */
export async function updateFailedAttempt(
  transaction: Queryable,
  { connectionId, version, leaseEpoch }: AttemptKey,
  { outcome, retryInSeconds, isOutcomeUnknown }: FailedAttempt,
): Promise<boolean> {
  const rows = await transaction.query(sql`
    update tokens
       set failure_count = failure_count + 1,
           next_attempt_at = now() + make_interval(secs => ${retryInSeconds}::float8),
           outcome_unknown = outcome_unknown or ${isOutcomeUnknown}::boolean,
           refresh_at = case when outcome_unknown or ${isOutcomeUnknown}::boolean then now() else refresh_at end,
           attempt_outcome = ${outcome}::text, attempt_epoch = ${leaseEpoch}::bigint,
           sent_epoch = nullif(sent_epoch, ${leaseEpoch}::bigint),
           sent_at = case when sent_epoch <> ${leaseEpoch}::bigint then sent_at end,
           lease_owner = null, lease_until = null
     where connection_id = ${connectionId}::uuid and version = ${version}::int
       and (sent_epoch = ${leaseEpoch}::bigint or lease_epoch = ${leaseEpoch}::bigint)
       and attempt_epoch is distinct from ${leaseEpoch}::bigint
    returning 1`)
  return rows.length === 1
}

/** The token is not refreshed any more. False: somebody else's attempt counts by now. */
export async function updateEndedToken(
  transaction: Queryable,
  { connectionId, version, leaseEpoch }: AttemptKey,
): Promise<boolean> {
  const rows = await transaction.query(sql`
    update tokens
       set refresh_at = null, next_attempt_at = null, attempt_outcome = null, attempt_epoch = null,
           sent_epoch = null, sent_at = null, lease_owner = null, lease_until = null
     where connection_id = ${connectionId}::uuid and version = ${version}::int
       and (sent_epoch = ${leaseEpoch}::bigint or lease_epoch = ${leaseEpoch}::bigint)
    returning 1`)
  return rows.length === 1
}
