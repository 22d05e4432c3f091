import { expect, test } from 'vitest'
import { type AuditTable, isOver, partitionNamed, wantedPartitions } from './partition-calendar.ts'

const wanted = (now: string, table: AuditTable) =>
  wantedPartitions(new Date(now)).filter((partition) => partition.table === table)

const months = (now: string): readonly string[] => wanted(now, 'audit_events').map(({ name }) => name)

test('months reach three ahead across the year', () => {
  expect(months('2026-11-30T23:59:59.999Z')).toEqual([
    'audit_events_2026_11',
    'audit_events_2026_12',
    'audit_events_2027_01',
    'audit_events_2027_02',
  ])
})

test('the 31st does not skip a short month', () => {
  expect(months('2027-01-31T12:00:00Z')).toEqual([
    'audit_events_2027_01',
    'audit_events_2027_02',
    'audit_events_2027_03',
    'audit_events_2027_04',
  ])
})

test('days reach fourteen ahead and meet without a gap', () => {
  const days = wanted('2028-02-28T23:30:00Z', 'audit_reads')
  expect(days).toHaveLength(15)
  expect(days[1]?.name).toBe('audit_reads_2028_02_29')
  expect(days.slice(1).map(({ from }) => from)).toEqual(days.slice(0, -1).map(({ to }) => to))
})

test('every name that the calendar gives is read back as the partition it names', () => {
  for (const partition of wantedPartitions(new Date('2028-01-31T12:00:00Z'))) {
    expect(partitionNamed(partition.name)).toEqual(partition)
  }
})

test.each([
  'audit_reads',
  'audit_reads_2026_01',
  'audit_reads_2026_02_30',
  'audit_reads_2026_13_01',
  'audit_reads_2026_01_01_archive',
  'my_audit_reads_2026_01_01',
  'audit_events_2026_01_01',
  'audit_events_2026_00',
  'audit_events_2026',
  'audit_writes_2026_01',
  'Audit_events_2026_01',
])('%s is no name of ours', (name) => {
  expect(partitionNamed(name)).toBeUndefined()
})

test.each([
  ['a day', 'audit_reads_2026_01_31', 30, '2026-03-03T00:00:00.000Z'],
  ['a leap day', 'audit_reads_2028_02_29', 1, '2028-03-02T00:00:00.000Z'],
  ['a month', 'audit_events_2025_12', 400, '2027-02-05T00:00:00.000Z'],
  ['a short month', 'audit_events_2027_02', 31, '2027-04-01T00:00:00.000Z'],
])('%s is over when its last moment is as old as the limit, and not a millisecond before', (_, name, days, moment) => {
  const until = partitionNamed(name)?.to
  const at = Date.parse(moment)
  expect(isOver(until, new Date(at - 1), days)).toBe(false)
  expect(isOver(until, new Date(at), days)).toBe(true)
})

test('a partition without an end is never over', () => {
  expect(isOver(undefined, new Date('9999-01-01'), 1)).toBe(false)
})
