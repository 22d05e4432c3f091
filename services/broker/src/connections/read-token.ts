import type { CredentialPayload } from '@nexus/contracts'
import { AppError, isAppError } from '@nexus/service'
import type { Agent } from '../agents/agent.ts'
import type { Origin } from '../audit/audit-event.ts'
import { type ReadRecord, type ReadVerdict, recordReads, supersededOutcome } from '../audit/record-reads.ts'
import type { Database } from '../db/database.ts'
import { readMargin } from '../refresher/schedule.ts'
import type { SealedSecret, SecretVault } from '../vault/secret-vault.ts'
import { createBatcher } from '../db/batcher.ts'
import { toCredentialPayload } from './credential-payload.ts'
import { openCredentials } from './credential-set.ts'
import { connectionNotFound, findRefusal } from './guard-connection.ts'
import { type ReadableToken, selectReadableTokens } from './token-store.ts'

export type ReadTokenDeps = {
  readonly database: Database
  readonly vault: SecretVault
  readonly createId: () => string
  /** Refreshes once for all who ask at the same time, on whichever Broker; throws when it cannot, or not in time. */
  readonly refresh: (connectionId: string, origin: Origin, patienceMs: number) => Promise<void>
  /** A token that lives was served though it should have been refreshed, for this reason. */
  readonly noteServedUnrefreshed: (connectionId: string, error: AppError) => void
  readonly noteUse: (connectionId: string) => void
}

/** Who asks. A refresh may be waited for longer than it takes to revoke a token: then they are asked for again. */
type Asker = { readonly origin: Origin; readonly agent: Agent; readonly identifyAgain: () => Promise<Agent> }

type ReadToken = (connectionId: string, asker: Asker) => Promise<CredentialPayload>

export type TokenReader = {
  /** A token in its last minute is refreshed first; one that still lives is served even where that fails. */
  readonly readToken: ReadToken
  /** Refreshed now, or refused with what keeps it from being refreshed. */
  readonly readRefreshedToken: ReadToken
}

type Ask = Asker & {
  readonly connectionId: string
  readonly hasTriedRefresh: boolean
  readonly refreshFailure: AppError | undefined
  /** Nothing but a fresh token will do. */
  readonly mustBeFresh: boolean
}

type Answer =
  | { readonly kind: 'released'; readonly payload: CredentialPayload }
  | { readonly kind: 'refused'; readonly error: AppError }
  | { readonly kind: 'refresh_first'; readonly patienceMs: number }
  | { readonly kind: 'superseded' }

// an expired token is worth waiting for as long as a refresh can take; one that lives is served without
const patienceMs = { expired: 25_000, living: 5_000 }
// a connection that changes this often between look and record is not going to hold still
const maxRounds = 5
const batching = { maxBatch: 256, maxConcurrent: 2, maxQueued: 4096 }

/**
 * Makes the reader of credentials. Reads that arrive together share two statements: one look at all their rows, and one
 * insert of all their audit records, which looks again. Nothing is released before its record is durable (A1), nor to whom
 * lost the right to it while the refresh went on.
 *
 * Both ways out throw AppError `connection_not_found`, `connection_not_active`, `attention_required`,
 * `provider_unavailable`, `provider_rejected`, `vault_integrity`, `key_unavailable`, `unavailable`; that, too, is recorded.
 */
export function createTokenReader(deps: ReadTokenDeps): TokenReader {
  const read = createBatcher<Ask, Answer>(
    { ...batching, chargeTo: ({ origin }) => `${origin.actorKind}:${origin.actorId ?? ''}` },
    (asks) => answerBatch(deps, asks),
  )
  const settle = async (first: Ask): Promise<CredentialPayload> => {
    let ask = first
    for (let round = 0; round < maxRounds; round++) {
      const answer = await read(ask)
      if (answer.kind === 'released') return answer.payload
      if (answer.kind === 'refused') throw answer.error
      if (answer.kind === 'refresh_first') ask = await refreshFor(deps, ask, answer.patienceMs)
    }
    throw new AppError('unavailable', 'The connection keeps changing; try again shortly.', { retryAfterSeconds: 1 })
  }
  const untried = { hasTriedRefresh: false, refreshFailure: undefined }
  return {
    readToken: (connectionId, asker) => settle({ ...untried, connectionId, ...asker, mustBeFresh: false }),
    readRefreshedToken: async (connectionId, asker) =>
      settle(await refreshFor(deps, { ...untried, connectionId, ...asker, mustBeFresh: true }, patienceMs.expired)),
  }
}

async function refreshFor(deps: ReadTokenDeps, ask: Ask, waitMs: number): Promise<Ask> {
  const refreshFailure = await tryRefresh(deps, ask, waitMs)
  return { ...ask, agent: await ask.identifyAgain(), hasTriedRefresh: true, refreshFailure }
}

async function tryRefresh(deps: ReadTokenDeps, ask: Ask, waitMs: number): Promise<AppError | undefined> {
  try {
    await deps.refresh(ask.connectionId, ask.origin, waitMs)
    return undefined
  } catch (error) {
    if (!isAppError(error)) throw error
    return error
  }
}

async function answerBatch(deps: ReadTokenDeps, asks: readonly Ask[]): Promise<readonly (Answer | Error)[]> {
  const { at, byConnection } = await selectReadableTokens(deps.database, [
    ...new Set(asks.map((ask) => ask.connectionId)),
  ])
  const opened = new Map<string, Answer>()
  const decisions = asks.map((ask) => {
    const row = byConnection.get(ask.connectionId)
    const answer = decide(deps.vault, ask, row, opened)
    return { answer, ask, row, record: answer.kind === 'refresh_first' ? undefined : toRecord(deps, ask, row, answer) }
  })
  const records = decisions.map(({ record }) => record).filter((record) => record !== undefined)
  const verdicts = records.length === 0 ? new Map<string, ReadVerdict>() : await recordReads(deps.database, at, records)

  return decisions.map(({ answer, ask, record }) => {
    if (record === undefined) return answer
    const verdict = verdicts.get(record.id)
    if (verdict === undefined) return new Error('the record of a read came back without a verdict')
    if (verdict.kind === 'unrecorded') return verdict.error
    if (verdict.outcome === supersededOutcome) return { kind: 'superseded' }
    if (answer.kind === 'released') noteRelease(deps, ask)
    return answer
  })
}

function noteRelease(deps: ReadTokenDeps, { connectionId, refreshFailure }: Ask): void {
  deps.noteUse(connectionId)
  if (refreshFailure !== undefined) deps.noteServedUnrefreshed(connectionId, refreshFailure)
}

/** What one caller is to get, as far as the row tells. Callers of one connection share one unsealing. */
function decide(vault: SecretVault, ask: Ask, row: ReadableToken | undefined, opened: Map<string, Answer>): Answer {
  // what lies outside the agent's zones is not there, for all it can tell (C4)
  const refusal = findRefusal(ask.agent, row?.zone, ['r'])
  if (row === undefined || refusal !== undefined) return refuse(refusal ?? connectionNotFound())
  if (row.status !== 'active') return refuse(notActive(row))
  if (row.sealed === null || row.keyId === null || row.version === null)
    return refuse(new AppError('internal', 'An active connection has no token.'))
  if (ask.mustBeFresh && ask.refreshFailure !== undefined) return refuse(ask.refreshFailure)
  const isExpired = row.secondsLeft !== null && row.secondsLeft <= 0
  if (!ask.hasTriedRefresh && shouldRefresh(row)) {
    return { kind: 'refresh_first', patienceMs: isExpired ? patienceMs.expired : patienceMs.living }
  }
  if (isExpired) return refuse(ask.refreshFailure ?? expired(row))

  const known = opened.get(row.connectionId) ?? open(vault, row, row.version, { sealed: row.sealed, keyId: row.keyId })
  opened.set(row.connectionId, known)
  return known
}

function open(vault: SecretVault, row: ReadableToken, version: number, sealed: SealedSecret): Answer {
  try {
    const credentials = openCredentials(vault, row.connectionId, version, sealed)
    return { kind: 'released', payload: toCredentialPayload(credentials, row) }
  } catch (error) {
    // a row that does not open is refused by itself; the others of the batch are untouched (V1)
    if (isAppError(error)) return refuse(error)
    throw error
  }
}

function shouldRefresh(row: ReadableToken): boolean {
  if (row.secondsLeft === null) return false
  // without a refresh token there is nothing to try before the end, and then only to say so
  if (row.hasRefreshToken !== true) return row.secondsLeft <= 0
  return row.secondsLeft < readMargin(row.lifetimeSeconds ?? 0) && (row.retryInSeconds ?? 0) <= 0
}

function refuse(error: AppError): Answer {
  return { kind: 'refused', error }
}

function notActive({ status, statusReason }: ReadableToken): AppError {
  return status === 'attention_required'
    ? new AppError('attention_required', 'The user must reconnect this account.', { details: { reason: statusReason } })
    : new AppError('connection_not_active', `The connection is ${status}.`, {
        details: { status, reason: statusReason },
      })
}

function expired({ retryInSeconds }: ReadableToken): AppError {
  return new AppError('provider_unavailable', 'The token has expired and cannot be refreshed right now.', {
    retryAfterSeconds: Math.max(1, retryInSeconds ?? 1),
  })
}

function toRecord(deps: ReadTokenDeps, ask: Ask, row: ReadableToken | undefined, answer: Answer): ReadRecord {
  return {
    id: deps.createId(),
    connectionId: ask.connectionId,
    providerId: row?.providerId ?? null,
    zone: row?.zone ?? null,
    tokenVersion: answer.kind === 'released' ? (row?.version ?? null) : null,
    outcome: answer.kind === 'refused' ? answer.error.code : 'success',
    origin: ask.origin,
  }
}
