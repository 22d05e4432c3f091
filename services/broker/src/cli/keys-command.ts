import { setTimeout as delay } from 'node:timers/promises'
import type { Environment } from '../config.ts'
import { addKeys } from '../vault/add-keys.ts'
import { adviseKeys } from '../vault/advise-keys.ts'
import { findStranded, readKeyStatus } from '../vault/key-status.ts'
import { retireKey } from '../vault/retire-key.ts'
import { type Rotation, rotateKeys } from '../vault/rotate-keys.ts'
import { describeCounts, sumCounts } from '../vault/sealed-kinds.ts'
import { UsageError, isHelpWanted, readCount, readOptions } from './command-line.ts'
import { drawKeyTable } from './key-table.ts'
import { createOutput, group } from './output.ts'
import { type VaultSession, withVaultSession } from './vault-session.ts'

const help = `nexus-broker keys: which encryption keys seal what, and how one takes the other's place.

  nexus-broker keys status [--json]      each key: what it does, since when, how many rows need it, and what to do next;
                                         exit 1 if rows need a key that is not configured
  nexus-broker keys add [--json]         register the configured keys, so that they may seal. First give a new key to
                                         every Broker in ENCRYPTION_KEYS_EXTRA: without it they do not start any more
  nexus-broker keys rotate [--batch N] [--json]
                                         seal everything anew under ENCRYPTION_KEY, N rows at a time (500), while Brokers
                                         run; then retire the older keys. It may be stopped, or killed, and run again;
                                         exit 1 if it was stopped, or if a row does not open
  nexus-broker keys retire ID [--json]   give up a registered key that no row needs, for example a new one that was lost

They need DATABASE_URL, ENCRYPTION_KEY and ENCRYPTION_KEYS_EXTRA, as the Brokers have them. The whole way, from the new
key to the day the old one goes, is in docs/operations.md, Rotating ENCRYPTION_KEY. In short:

  1. ENCRYPTION_KEYS_EXTRA=<new> on every Broker; restart them; nexus-broker keys add
  2. ENCRYPTION_KEY=<new> ENCRYPTION_KEYS_EXTRA=<old> on every Broker; restart them; nexus-broker keys rotate
  3. nexus-broker keys status; then take <old> away and restart the Brokers

Examples:

  docker compose run --rm broker keys status
  kubectl -n nexus exec deploy/nexus-broker -- node /app/services/broker/bin/nexus-broker.ts keys rotate
  nexus-broker keys rotate --json 2>progress.jsonl | jq .resealed
`

const command = 'keys'
const maxBatch = 5_000
const pauseMs = 1_000

const json = { json: { type: 'boolean', default: false } } as const

/** `keys status|add|rotate|retire`. @returns the exit code */
export async function keys(args: readonly string[], env: Environment): Promise<number> {
  const [action, ...rest] = args
  if (isHelpWanted(args) || isHelpWanted(rest)) {
    process.stdout.write(help)
    return 0
  }
  switch (action) {
    case 'status': {
      const { values } = readOptions(rest, json, { command })
      return withVaultSession(env, (session) => printStatus(session, values.json))
    }
    case 'add': {
      const { values } = readOptions(rest, json, { command })
      return withVaultSession(env, (session) => add(session, values.json))
    }
    case 'rotate': {
      const { values } = readOptions(rest, { ...json, batch: { type: 'string', default: '500' } }, { command })
      const batch = readCount('batch', values.batch, { max: maxBatch, command })
      return withVaultSession(env, (session) => rotate(session, batch, values.json))
    }
    case 'retire': {
      const { values, positionals } = readOptions(rest, json, { command, allowPositionals: true })
      const [keyId = '', ...others] = positionals
      if (!/^[\da-f]{8}$/.test(keyId) || others.length > 0) {
        throw new UsageError('keys retire takes the id of one key: 8 digits, as keys status shows it', command)
      }
      return withVaultSession(env, (session) => retire(session, keyId, values.json))
    }
    default:
      throw new UsageError('keys takes status, add, rotate or retire', command)
  }
}

async function printStatus({ database, keyring }: VaultSession, asJson: boolean): Promise<number> {
  const status = await readKeyStatus(database, keyring)
  const next = adviseKeys(status)
  const isWell = findStranded(status).length === 0
  if (asJson) {
    const listed = status.map(({ registeredAt, retiredAt, ...key }) => ({
      ...key,
      registered_at: registeredAt,
      retired_at: retiredAt,
    }))
    writeJson({ ok: isWell, keys: listed, next })
  } else {
    process.stdout.write(`${drawKeyTable(status)}\n\n${next.join('\n')}\n`)
  }
  return isWell ? 0 : 1
}

async function add(session: VaultSession, asJson: boolean): Promise<number> {
  const { added, restored } = await addKeys(session)
  const lines = [
    ...added.map((id) => `${id} is registered: it may seal once it is ENCRYPTION_KEY`),
    ...restored.map((id) => `${id} was retired and is registered again: it may seal`),
  ]
  if (asJson) writeJson({ added, restored })
  else
    process.stdout.write(`${lines.length === 0 ? 'every configured key was registered already' : lines.join('\n')}\n`)
  return 0
}

async function retire(session: VaultSession, keyId: string, asJson: boolean): Promise<number> {
  const isNew = await retireKey(session, keyId)
  if (asJson) writeJson({ key: keyId, retired: isNew })
  else process.stdout.write(`${keyId} ${isNew ? 'is retired: Brokers start without it' : 'was retired already'}\n`)
  return 0
}

async function rotate(session: VaultSession, batch: number, asJson: boolean): Promise<number> {
  const { keyring, signal } = session
  const { stdout, stderr } = process
  const output = createOutput({ stdout, stderr, asJson, monotonicMs: () => performance.now() })
  const rotation = await rotateKeys(
    {
      ...session,
      pause: () => delay(pauseMs, undefined, { signal }).catch(() => undefined),
      report: {
        progress: output.progress,
        failed: (kind, id, problem) =>
          output.tell(`${kind} ${id} does not open (${problem}): it is left as it is`, {
            event: 'row_failed',
            kind,
            id,
            problem,
          }),
        rowsKeepComing: (rows) =>
          output.warn(
            `${rows} rows under an older key were found again: a Broker still seals with it, or holds them. Give every ` +
              `Broker ${keyring.primaryId} as ENCRYPTION_KEY; this goes on until no such row is left.`,
            { event: 'rows_keep_coming', rows },
          ),
      },
    },
    { batch, signal },
  )
  const { outcome, resealed, failed, retired } = rotation
  const summary = { event: 'rotated', outcome, key: keyring.primaryId, resealed, failed, retired }
  output.end(describeRotation(keyring.primaryId, rotation), summary)
  return outcome === 'done' ? 0 : 1
}

function describeRotation(primaryId: string, { outcome, resealed, failed, retired }: Rotation): string {
  const count = sumCounts(resealed)
  const done = count === 0 ? 'Nothing was to be sealed anew.' : `Sealed anew: ${describeCounts(resealed)}.`
  if (outcome === 'stopped') return `${done} Stopped before the end; run it again to go on.`
  if (outcome === 'incomplete') {
    return (
      `${done} ${group(failed)} rows do not open and keep their key, so no key was retired. Connections among them are ` +
      'repaired by reconnecting, client secrets by entering them again; then run it again.'
    )
  }
  const after =
    retired.length === 0
      ? ''
      : ` Retired: ${retired.join(', ')}. Before you take it out of ENCRYPTION_KEYS_EXTRA, see that every Broker has ` +
        'started since with the new ENCRYPTION_KEY, and that its SPOOL_DIR is empty: what lies there may need the older key.'
  return `${done} No row needs another key than ${primaryId}.${after}`
}

function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
