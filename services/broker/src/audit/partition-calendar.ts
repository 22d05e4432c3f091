/** The tables that are kept in partitions: events by the month, reads of credentials by the day. */
export const auditTables = ['audit_events', 'audit_reads'] as const

export type AuditTable = (typeof auditTables)[number]

/** A partition as the calendar has it. Its name is made of digits and our own constants: it needs no quoting. */
export type Partition = {
  readonly table: AuditTable
  readonly name: string
  readonly from: Date
  /** The first moment after it. */
  readonly to: Date
}

const monthsAhead = 3
export const daysAhead = 14
export const dayMs = 86_400_000

/** The partitions that should exist at `now`: this month and the next three, today and the next fourteen days. */
export function wantedPartitions(now: Date): readonly Partition[] {
  return [
    ...Array.from({ length: monthsAhead + 1 }, (_, n) => monthPartition(addMonths(now, n))),
    ...Array.from({ length: daysAhead + 1 }, (_, n) => dayPartition(addDays(now, n))),
  ]
}

export function monthPartition(at: Date): Partition {
  const from = addMonths(at, 0)
  return { table: 'audit_events', name: `audit_events_${stamp(from, 7)}`, from, to: addMonths(at, 1) }
}

export function dayPartition(at: Date): Partition {
  const from = addDays(at, 0)
  return { table: 'audit_reads', name: `audit_reads_${stamp(from, 10)}`, from, to: addDays(at, 1) }
}

/** The partition that bears this name; `undefined` for a name that the calendar does not give. */
export function partitionNamed(name: string): Partition | undefined {
  const [, table, date = ''] = /^(audit_events|audit_reads)_(\d{4}_\d{2}(?:_\d{2})?)$/.exec(name) ?? []
  const from = new Date(date.replaceAll('_', '-'))
  if (table === undefined || Number.isNaN(from.getTime())) return undefined
  const partition = table === 'audit_events' ? monthPartition(from) : dayPartition(from)
  // the 31st of a short month is a day of the next one, and no name
  return partition.name === name ? partition : undefined
}

/**
 * True where all that a partition can hold is older than `retentionDays`.
 * @param until - the first moment after the partition; `undefined`: it has no end, or none we know
 */
export function isOver(until: Date | undefined, now: Date, retentionDays: number): boolean {
  return until !== undefined && until.getTime() <= now.getTime() - retentionDays * dayMs
}

/** The beginning of the day `days` after that of `at`. */
export function addDays(at: Date, days: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate() + days))
}

function addMonths(at: Date, months: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months))
}

function stamp(at: Date, length: 7 | 10): string {
  return at.toISOString().slice(0, length).replaceAll('-', '_')
}
