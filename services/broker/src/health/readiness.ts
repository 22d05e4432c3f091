import type { Readiness, RedisHandle } from '@nexus/service'
import type { Queryable } from '../db/database.ts'
import { sql } from '../db/sql.ts'
import type { Sweeper } from '../maintenance/sweeper.ts'

export type ReadinessDeps = {
  readonly database: Queryable
  readonly redis: RedisHandle | undefined
  readonly sweeper: Pick<Sweeper, 'partitionDaysAhead'>
}

const fewDays = 7

/** What the Broker needs. Redis is reported, and its absence keeps nobody from being served. */
export async function checkReadiness({ database, redis, sweeper }: ReadinessDeps): Promise<Readiness> {
  const postgres = await database.query(sql`select 1`).then(
    () => 'ok',
    () => 'away',
  )
  const daysAhead = sweeper.partitionDaysAhead()
  return {
    ok: postgres === 'ok',
    checks: {
      postgres,
      redis: redis === undefined ? 'n/a' : (await redis.ping()) ? 'ok' : 'away',
      // the start refuses an old schema, so a Broker that runs has a current one
      migrations: 'ok',
      audit_partitions: daysAhead < fewDays ? `only ${daysAhead} days ahead` : 'ok',
    },
  }
}
