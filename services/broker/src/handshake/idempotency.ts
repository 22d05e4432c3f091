import { equalInConstantTime, sha256 } from '@nexus/crypto'
import { AppError } from '@nexus/service'
import type { Origin } from '../audit/audit-event.ts'
import type { Queryable } from '../db/database.ts'
import { type IdempotentAnswer, insertIdempotent, selectIdempotent } from './idempotency-store.ts'

/** A request that may be sent again: whose it is, its key, and what it asks for. */
export type IdempotentRequest = { readonly caller: string; readonly keyHash: Buffer; readonly bodyHash: Buffer }

/**
 * @param wanted - all that a repetition has to repeat.
 * @returns undefined where the request bears no Idempotency-Key: then every one is the first.
 */
export function identifyRequest(
  origin: Origin,
  key: string | undefined,
  wanted: unknown,
): IdempotentRequest | undefined {
  if (key === undefined) return undefined
  const caller = `${origin.actorKind}:${origin.actorId ?? ''}`
  return { caller, keyHash: sha256(key), bodyHash: sha256(canonicalJson(wanted)) }
}

/** What the same request made within 24 hours. @throws AppError `idempotency_mismatch` where its key was another's */
export async function findEarlier(
  transaction: Queryable,
  request: IdempotentRequest,
): Promise<IdempotentAnswer | undefined> {
  const earlier = await selectIdempotent(transaction, request.caller, request.keyHash)
  if (earlier !== undefined && !equalInConstantTime(earlier.bodyHash, request.bodyHash)) {
    throw new AppError('idempotency_mismatch', 'This Idempotency-Key was used with another request within 24 hours.')
  }
  return earlier
}

/** Keeps what the request made for its repetitions. @throws LostRace, for `retryLostRace` */
export async function claimKey(
  transaction: Queryable,
  request: IdempotentRequest,
  { connectionId, handshakeId }: Pick<IdempotentAnswer, 'connectionId' | 'handshakeId'>,
): Promise<void> {
  const isFirst = await insertIdempotent(transaction, { ...request, connectionId, handshakeId })
  if (!isFirst) throw new LostRace()
}

/** Somebody used the same Idempotency-Key at the same moment and was faster. */
class LostRace extends Error {}

/** Runs a transaction that claims a key; one that lost the race looks again: what the winner made is there now. */
export async function retryLostRace<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof LostRace) return work()
    throw error
  }
}

/** JSON with sorted members, so that the order in which a client writes them makes no difference. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}
