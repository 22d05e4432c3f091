import type { Environment } from '../config.ts'
import { describeCounts } from '../vault/sealed-kinds.ts'
import { type Finding, type Verification, verifyVault } from '../vault/verify-vault.ts'
import { UsageError, isHelpWanted, readCount, readOptions } from './command-line.ts'
import { createOutput, group } from './output.ts'
import { type VaultSession, withVaultSession } from './vault-session.ts'

const help = `nexus-broker vault: looks after what is sealed.

  nexus-broker vault verify [--batch N] [--json]
                                         open every sealed secret, N rows at a time (500), and find rows that were put
                                         back from an older copy, as far back as the audit reaches. It changes nothing
                                         and may run while Brokers do; exit 1 if something is found, or if it was stopped

It needs DATABASE_URL, ENCRYPTION_KEY and ENCRYPTION_KEYS_EXTRA, as the Brokers have them. A finding names a row by kind
and id, and never what is in it.

Examples:

  docker compose run --rm broker vault verify
  nexus-broker vault verify --json 2>/dev/null | jq 'select(.event == "finding")'
`

const command = 'vault'
const maxBatch = 5_000

/** `vault verify`. @returns the exit code */
export async function vault(args: readonly string[], env: Environment): Promise<number> {
  const [action, ...rest] = args
  if (isHelpWanted(args) || isHelpWanted(rest)) {
    process.stdout.write(help)
    return 0
  }
  if (action !== 'verify') throw new UsageError('vault takes verify', command)
  const options = { json: { type: 'boolean', default: false }, batch: { type: 'string', default: '500' } } as const
  const { values } = readOptions(rest, options, { command })
  const batch = readCount('batch', values.batch, { max: maxBatch, command })
  return withVaultSession(env, (session) => verify(session, batch, values.json))
}

async function verify(session: VaultSession, batch: number, asJson: boolean): Promise<number> {
  const { stdout, stderr } = process
  const output = createOutput({ stdout, stderr, asJson, monotonicMs: () => performance.now() })
  const found = (finding: Finding): void => {
    const { purpose, ...facts } = finding
    output.tell(describeFinding(finding), { event: 'finding', kind: purpose, ...facts })
  }
  const report = { progress: output.progress, found }
  const verification = await verifyVault({ ...session, report }, { batch, signal: session.signal })
  const { checked, findings, auditSince, isStopped } = verification
  const isWell = !isStopped && Object.values(findings).every((count) => count === 0)
  const since = auditSince ?? null
  output.end(describeVerification(verification), {
    event: 'verified',
    ok: isWell,
    stopped: isStopped,
    checked,
    findings,
    audit_since: since,
  })
  return isWell ? 0 : 1
}

function describeFinding(finding: Finding): string {
  const row = `${finding.purpose} ${finding.id}`
  switch (finding.problem) {
    case 'damaged':
      return `${row}: does not open; it was changed, or belongs to another row or version`
    case 'key_unavailable':
      return `${row}: needs the key ${finding.keyId}, which is not configured`
    case 'put_back':
      return `${row}: has version ${finding.version}, and the audit knows of version ${finding.highest}: an older row was put back`
  }
}

function describeVerification({ checked, findings, auditSince, isStopped }: Verification): string {
  const opened = describeCounts(checked)
  const count = Object.values(findings).reduce((sum, one) => sum + one, 0)
  const result = count === 0 ? 'nothing was found' : `${group(count)} findings`
  const reach =
    auditSince === undefined
      ? 'The audit is empty, so nothing can be said of rows put back.'
      : `Rows put back were looked for in the audit, which begins at ${auditSince.toISOString().slice(0, 10)}.`
  return `Looked at ${opened === '' ? 'no rows' : opened}: ${result}. ${isStopped ? 'Stopped before the end.' : reach}`
}
