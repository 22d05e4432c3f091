import { type Vault, createVault } from '@nexus/crypto'
import { recordEvent } from '../audit/record-event.ts'
import type { KeyChangeDeps } from './add-keys.ts'
import {
  assertCanariesOpen,
  assertNoKeyMissing,
  assertPrimaryMaySeal,
  countRows,
  listKeyIdsInUse,
} from './check-keys.ts'
import { type RowProblem, openRow } from './open-row.ts'
import { type RowPurpose, type SealedKind, sealedKinds, sumCounts } from './sealed-kinds.ts'
import { type Resealed, type SealedRow, beginning, selectRowsOfKey, updateResealedRows } from './sealed-row-store.ts'
import * as store from './store.ts'

export type RotationDeps = KeyChangeDeps & {
  readonly report: RotationReport
  /** Waits a moment before it looks again for rows that somebody held, or sealed with an older key meanwhile. */
  readonly pause: () => Promise<void>
}

export type RotationReport = {
  readonly progress: (done: number, total: number) => void
  /** Once for each row that does not open. It is left as it is. */
  readonly failed: (purpose: RowPurpose, id: string, problem: RowProblem) => void
  /** Somebody still seals with an older key, or holds rows. */
  readonly rowsKeepComing: (rows: number) => void
}

export type RotationOptions = {
  /** Rows read and written at a time. */
  readonly batch: number
  /** Fired: it ends after the batch in hand. */
  readonly signal: AbortSignal
}

export type Rotation = {
  /** `incomplete`: some rows do not open. `stopped`: it was told to stop, and goes on when it is run again. */
  readonly outcome: 'done' | 'incomplete' | 'stopped'
  readonly resealed: Readonly<Record<RowPurpose, number>>
  readonly failed: number
  /** Older keys that no Broker must have from now on. */
  readonly retired: readonly string[]
}

/**
 * Seals anew, under ENCRYPTION_KEY, whatever another key sealed, while Brokers read, refresh and seal (V4).
 *
 * What is to be done is found by the key ids of the rows, so nothing needs to be remembered: killed at any point it leaves
 * every row readable, and goes on when it is run again. A row changes only while it still holds the very ciphertext that
 * was opened, so nothing newer is ever overwritten, and purpose, id and version stay as they are. When no row needs an
 * older key any more, those keys are retired.
 *
 * @throws KeyMismatchError before the first row, where the configured keys would not let a Broker start
 */
export async function rotateKeys(deps: RotationDeps, options: RotationOptions): Promise<Rotation> {
  const registered = await store.selectKeys(deps.database)
  assertCanariesOpen(registered, deps.keyring)
  await assertNoKeyMissing(deps.database, registered, deps.keyring)
  assertPrimaryMaySeal(registered, deps.keyring)

  const walk = await startWalk(deps, options)
  for (let round = 1; ; round++) {
    const { resealed, missed, failed } = await walkOnce(walk)
    const ended = { resealed: walk.resealed, failed }
    if (options.signal.aborted) return { ...ended, outcome: 'stopped', retired: [] }
    if (resealed + missed === 0) {
      if (failed > 0) return { ...ended, outcome: 'incomplete', retired: await endIncomplete(deps, walk, failed) }
      const retired = await retireOlderKeys(deps, walk)
      if (retired !== 'rows came') return { ...ended, outcome: 'done', retired }
    }
    if (round > 2) deps.report.rowsKeepComing(resealed + missed)
    if (round > 1 || missed > 0) await deps.pause()
  }
}

/** What lasts from round to round. */
type Walk = RotationDeps &
  RotationOptions & {
    readonly vault: Vault
    readonly olderIds: readonly string[]
    readonly resealed: Record<RowPurpose, number>
    readonly reported: Set<string>
    readonly total: number
  }

async function startWalk(deps: RotationDeps, options: RotationOptions): Promise<Walk> {
  const { database, keyring } = deps
  const olderIds = keyring.ids.filter((keyId) => keyId !== keyring.primaryId)
  const rows = await countRows(database, olderIds)
  const total = [...rows.values()].reduce((sum, counts) => sum + sumCounts(counts), 0)
  deps.report.progress(0, total)
  return {
    ...deps,
    ...options,
    vault: createVault(keyring),
    olderIds,
    resealed: { token: 0, 'client-secret': 0, 'handshake-attempt': 0, revocation: 0 },
    reported: new Set(),
    total,
  }
}

type Round = { readonly resealed: number; readonly missed: number; readonly failed: number }

/** Once through everything that is not under the primary key. */
async function walkOnce(walk: Walk): Promise<Round> {
  let round: Round = { resealed: 0, missed: 0, failed: 0 }
  for (const kind of sealedKinds) {
    for (const keyId of walk.olderIds) {
      for (let after: string | undefined = beginning; after !== undefined && !walk.signal.aborted;) {
        const batch = await selectRowsOfKey(walk.database, kind, keyId, after, walk.batch)
        after = batch.at(-1)?.id
        const done = await resealBatch(walk, kind, batch)
        round = {
          resealed: round.resealed + done.resealed,
          missed: round.missed + done.missed,
          failed: round.failed + done.failed,
        }
      }
    }
  }
  return round
}

/** One batch: opened and sealed in memory, then written in one short statement. */
async function resealBatch(walk: Walk, kind: SealedKind, batch: readonly SealedRow[]): Promise<Round> {
  const ready: Resealed[] = []
  for (const row of batch) {
    const opened = openRow(kind, row, (sealed, context) => walk.vault.reseal(sealed, context))
    if ('result' in opened) ready.push({ row, anew: opened.result })
    else reportFailure(walk, kind, row, opened.problem)
  }
  const { primaryId } = walk.keyring
  const resealed = ready.length === 0 ? 0 : await updateResealedRows(walk.database, kind, primaryId, ready)
  walk.resealed[kind.purpose] += resealed
  const done = sumCounts(walk.resealed) + walk.reported.size
  walk.report.progress(done, Math.max(done, walk.total))
  return { resealed, missed: ready.length - resealed, failed: batch.length - ready.length }
}

function reportFailure(walk: Walk, { purpose }: SealedKind, { id }: SealedRow, problem: RowProblem): void {
  const name = `${purpose} ${id}`
  if (walk.reported.has(name)) return
  walk.reported.add(name)
  walk.report.failed(purpose, id, problem)
}

/** @returns the keys that were retired, unless rows under another key turned up in between. */
async function retireOlderKeys(deps: RotationDeps, walk: Walk): Promise<readonly string[] | 'rows came'> {
  const { primaryId } = deps.keyring
  return deps.database.transaction(async (transaction) => {
    await store.lockRegistration(transaction, deps.lockId)
    const registered = await store.selectKeys(transaction)
    await assertNoKeyMissing(transaction, registered, deps.keyring)
    assertPrimaryMaySeal(registered, deps.keyring)
    const used = await listKeyIdsInUse(transaction)
    if ([...used].some((keyId) => keyId !== primaryId)) return 'rows came'
    const retired = await store.retireKeysBefore(transaction, primaryId)
    if (retired.length + sumCounts(walk.resealed) > 0) {
      const data = { key: primaryId, retired, resealed: walk.resealed }
      const event = { event: 'keys.rotated', outcome: 'success', origin: deps.origin, data } as const
      await recordEvent(transaction, deps.createId(), event)
    }
    return retired
  })
}

/** Rows that do not open still name their key, so it stays. */
async function endIncomplete(deps: RotationDeps, walk: Walk, failed: number): Promise<readonly []> {
  const data = { key: deps.keyring.primaryId, retired: [], resealed: walk.resealed, failed }
  const event = { event: 'keys.rotated', outcome: 'vault_integrity', origin: deps.origin, data } as const
  await recordEvent(deps.database, deps.createId(), event)
  return []
}
