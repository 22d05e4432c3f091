import { type TestDatabase, createTestDatabase } from '@nexus/testing'
import { inject, onTestFinished } from 'vitest'

export type ShiftedDatabase = TestDatabase & {
  /** What its statements take for now. */
  readonly now: () => Promise<Date>
  /** Moves its clock, which goes on from there. */
  readonly moveTo: (at: Date) => Promise<void>
}

/**
 * A database whose clock the test moves: functions of its own stand before those of PostgreSQL in the search path, so
 * that whatever says `now()` asks them. Whoever says pg_catalog.now(), defaults of columns included, has the true time.
 */
export async function createShiftedDatabase(): Promise<ShiftedDatabase> {
  const database = await createTestDatabase(inject('postgresUrl'), inject('postgresTemplate'))
  onTestFinished(database.drop)
  const { pool, name } = database
  const clocks = ['now', 'transaction_timestamp', 'statement_timestamp', 'clock_timestamp']
  await pool.query(`
    create schema shift;
    create table shift.clock (ahead interval not null);
    insert into shift.clock values ('0');
    ${clocks
      .map(
        (clock) => `create function shift.${clock}() returns timestamptz language sql stable
                    as 'select pg_catalog.${clock}() + ahead from shift.clock';`,
      )
      .join('\n')}
    alter database ${name} set search_path = public, shift, pg_catalog`)
  return {
    ...database,
    now: async () => {
      const { rows } = await pool.query<{ now: Date }>('select shift.clock_timestamp() as now')
      return rows[0]?.now ?? new Date(Number.NaN)
    },
    moveTo: async (at) => {
      await pool.query('update shift.clock set ahead = $1::timestamptz - pg_catalog.clock_timestamp()', [at])
    },
  }
}
