import { type Keyring, type Vault, createVault } from '@nexus/crypto'
import type { Queryable } from '../db/database.ts'
import { assertOneIsKnown, countRows } from './check-keys.ts'
import { type RowProblem, openRow } from './open-row.ts'
import { selectAuditSpans, selectPutBack } from './put-back-store.ts'
import { type RowPurpose, type SealedKind, sealedKinds, sumCounts } from './sealed-kinds.ts'
import { type SealedRow, beginning, selectSealedRows, selectSealedRowsById } from './sealed-row-store.ts'
import { selectKeys } from './store.ts'

/** What is wrong with a row. It names the row, and never what is in it. */
export type Finding = {
  readonly purpose: RowPurpose
  readonly id: string
} & (
  | { readonly problem: RowProblem; readonly keyId: string }
  | { readonly problem: 'put_back'; readonly version: number; readonly highest: number }
)

export type VerificationDeps = {
  readonly database: Queryable
  readonly keyring: Keyring
  readonly report: {
    readonly progress: (done: number, total: number, what: 'rows' | 'partitions of the audit') => void
    readonly found: (finding: Finding) => void
  }
}

export type VerificationOptions = { readonly batch: number; readonly signal: AbortSignal }

export type Verification = {
  readonly checked: Readonly<Record<RowPurpose, number>>
  readonly findings: Readonly<Record<Finding['problem'], number>>
  /** The audit begins here: what was put back over something older than that cannot be known. */
  readonly auditSince: Date | undefined
  readonly isStopped: boolean
}

/** Beyond this many a whole table was put back, and a longer list tells nobody more. */
const maxPutBack = 10_000

/**
 * Opens every sealed secret, and looks for rows that were put back from an older copy, while Brokers run. It changes
 * nothing. Memory is bounded by a batch, whatever the number of rows.
 *
 * @throws KeyMismatchError where no configured key is this database's
 */
export async function verifyVault(deps: VerificationDeps, options: VerificationOptions): Promise<Verification> {
  const { database, keyring } = deps
  assertOneIsKnown(await selectKeys(database), keyring)
  const vault = createVault(keyring)
  const checked: Record<RowPurpose, number> = { token: 0, 'client-secret': 0, 'handshake-attempt': 0, revocation: 0 }
  const findings: Record<Finding['problem'], number> = { damaged: 0, key_unavailable: 0, put_back: 0 }
  const report = (finding: Finding): void => {
    findings[finding.problem] += 1
    deps.report.found(finding)
  }
  const total = [...(await countRows(database)).values()].reduce((sum, counts) => sum + sumCounts(counts), 0)
  deps.report.progress(0, total, 'rows')

  for (const kind of sealedKinds) {
    for await (const rows of pages(database, kind, options)) {
      for (const finding of await findUnopened(database, vault, kind, rows)) report(finding)
      checked[kind.purpose] += rows.length
      const done = sumCounts(checked)
      deps.report.progress(done, Math.max(done, total), 'rows')
    }
  }
  const auditSince = await findPutBack(deps, options.signal, report)
  return { checked, findings, auditSince, isStopped: options.signal.aborted }
}

async function* pages(
  database: Queryable,
  kind: SealedKind,
  { batch, signal }: VerificationOptions,
): AsyncGenerator<readonly SealedRow[]> {
  for (let after = beginning; !signal.aborted;) {
    const rows = await selectSealedRows(database, kind, after, batch)
    const last = rows.at(-1)
    if (last === undefined) return
    yield rows
    after = last.id
  }
}

/** Those that do not open, and are still what they were when looked at again. */
async function findUnopened(
  database: Queryable,
  vault: Vault,
  kind: SealedKind,
  rows: readonly SealedRow[],
): Promise<readonly Finding[]> {
  const problems = rows.flatMap((row) => {
    // what comes out is wiped at once: that it opens is all there is to know
    const opened = openRow(kind, row, (sealed, context) => void vault.open(sealed, context).fill(0))
    return 'problem' in opened ? [{ row, problem: opened.problem }] : []
  })
  if (problems.length === 0) return []
  const again = await selectSealedRowsById(
    database,
    kind,
    problems.map(({ row }) => row.id),
  )
  const byId = new Map(again.map((row) => [row.id, row]))
  const found = problems.filter(({ row }) => isSame(row, byId.get(row.id)))
  const changed = again.filter((row) => !found.some((one) => one.row.id === row.id))
  return [
    ...found.map(({ row, problem }) => ({ purpose: kind.purpose, id: row.id, problem, keyId: row.keyId })),
    ...(await findUnopened(database, vault, kind, changed)),
  ]
}

function isSame(row: SealedRow, again: SealedRow | undefined): boolean {
  return again?.version === row.version && again.keyId === row.keyId && again.sealed.equals(row.sealed)
}

/** @returns since when the audit knows anything */
async function findPutBack(
  { database, report: { progress } }: VerificationDeps,
  signal: AbortSignal,
  report: (finding: Finding) => void,
): Promise<Date | undefined> {
  const spans = await selectAuditSpans(database)
  const found = new Set<string>()
  for (const [done, span] of spans.entries()) {
    progress(done, spans.length, 'partitions of the audit')
    if (signal.aborted || found.size >= maxPutBack) break
    for (const { id, version, highest } of await selectPutBack(database, span, maxPutBack)) {
      if (found.has(id)) continue
      found.add(id)
      report({ purpose: 'token', id, problem: 'put_back', version, highest })
    }
  }
  return spans.map(({ from }) => from).toSorted((one, other) => Number(one) - Number(other))[0]
}
