import { expect } from 'vitest'
import { connect } from './connection-scene.ts'
import { makePartition, stateOf } from './audit-scene.ts'
import { requestConnection, startTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'

/** `labels → value` of one metric, without the label that all have. */
async function readMetric(broker: Parameters<typeof connect>[0], name: string): Promise<Record<string, number>> {
  const { text } = await broker.get('/metrics')
  const found = text.matchAll(new RegExp(`^${name}\\{([^}]*)\\} (\\S+)$`, 'gm'))
  return Object.fromEntries(
    [...found].map(([, labels = '', value]) => [labels.replace(/,?service="broker",?/, ''), Number(value)]),
  )
}

test('connections are counted by the status they read as', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  for (let n = 0; n < 3; n++) await connect(broker, provider)
  const [waiting, late] = [
    await requestConnection(broker, { provider_name: provider.name }),
    await requestConnection(broker, { provider_name: provider.name }),
  ]
  await database.pool.query(`update connections set pending_until = now() where id = $1`, [late.connection_id])
  expect((await broker.get(`/connections/${waiting.connection_id}`)).body).toMatchObject({ status: 'pending' })
  // a scrape waits for the count only so long
  await expect
    .poll(() => readMetric(broker, 'nexus_connections'))
    .toEqual({
      'status="pending"': 1,
      'status="active"': 3,
      'status="attention_required"': 0,
      'status="failed"': 0,
      'status="expired"': 1,
      'status="revoked"': 0,
    })
  // whoever scrapes more often gets what was counted, and the database is not asked
  await database.pool.query(`update connections set status = 'revoked' where status = 'active'`)
  expect(await readMetric(broker, 'nexus_connections')).toMatchObject({ 'status="active"': 3 })
})

test('partitions that were dropped are counted, and the oldest that is left tells its age', async ({ database }) => {
  await makePartition(database.pool, 'audit_reads_2020_01_01')
  await makePartition(database.pool, 'audit_events_2020_01')
  // somebody depends on it, so it is detached and cannot go
  await makePartition(database.pool, 'audit_reads_2020_01_02')
  await database.pool.query('create view watched as select * from audit_reads_2020_01_02')
  await using broker = await startTestBroker(database)
  expect(await readMetric(broker, 'nexus_audit_partitions_dropped_total')).toEqual({ '': 2 })
  // which keeps none of the younger ones
  const younger = await makePartition(database.pool, 'audit_reads_2020_01_03')
  await using later = await startTestBroker(database)
  expect(await stateOf(database.pool, younger)).toBe('gone')
  const ages = await readMetric(later, 'nexus_audit_oldest_partition_age_seconds')
  expect(ages['table="audit_events"']).toBe(0)
  const expected = (Date.now() - Date.parse('2020-01-03')) / 1000
  expect(Math.abs((ages['table="audit_reads"'] ?? 0) - expected)).toBeLessThan(60)
  expect(later.logs.lines().filter(({ level }) => level === 'warn')).toContainEqual(
    expect.objectContaining({ table: 'audit_reads', msg: expect.stringContaining('could not be dropped') }),
  )
  await database.pool.query('drop view watched')
})
