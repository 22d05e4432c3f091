import type { KeyStatus } from '../vault/key-status.ts'
import { describeCounts } from '../vault/sealed-kinds.ts'

const roles: Readonly<Record<KeyStatus['role'], string>> = {
  seals: 'seals',
  opens: 'opens',
  not_configured: 'not configured',
}

/** One line for each key. */
export function drawKeyTable(keys: readonly KeyStatus[]): string {
  const rows = keys.map(({ id, role, registeredAt, retiredAt, rows: counts }) => [
    id,
    roles[role],
    registeredAt === null ? 'not registered' : describeTime(registeredAt),
    retiredAt === null ? '-' : describeTime(retiredAt),
    describeCounts(counts) || 'none',
  ])
  const lines = [['key', 'role', 'registered', 'retired', 'rows'], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n')
}

/** To the minute, in UTC. */
function describeTime(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')}Z`
}
