import { expect, test } from 'vitest'
import { wantedPartitions } from './partitions.ts'

function names(now: string): Record<string, string[]> {
  return Object.fromEntries(
    wantedPartitions(new Date(now)).map(([parent, partitions]) => [parent, partitions.map((p) => p.name)]),
  )
}

test('months reach three ahead across the year', () => {
  expect(names('2026-11-30T23:59:59.999Z')['audit_events']).toEqual([
    'audit_events_2026_11',
    'audit_events_2026_12',
    'audit_events_2027_01',
    'audit_events_2027_02',
  ])
})

test('the 31st does not skip a short month', () => {
  expect(names('2027-01-31T12:00:00Z')['audit_events']).toEqual([
    'audit_events_2027_01',
    'audit_events_2027_02',
    'audit_events_2027_03',
    'audit_events_2027_04',
  ])
})

test('days reach fourteen ahead and meet without a gap', () => {
  const [, days] = wantedPartitions(new Date('2028-02-28T23:30:00Z'))[1]!
  expect(days).toHaveLength(15)
  expect(days[1]!.name).toBe('audit_reads_2028_02_29')
  expect(days.slice(1).map(({ from }) => from)).toEqual(days.slice(0, -1).map(({ to }) => to))
})
