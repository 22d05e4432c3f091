import { expect } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { type setSecondsLeft, waitForBlocked, whileLocked } from './database-tools.ts'
import { type Answer, type Client, readToken } from './harness.ts'
import { auditOf, eventsOf, test } from './handshake-scene.ts'

/** Makes every insert of the audit of reads fail, the way `when` and `code` say, until disposed of. */
async function failInserts(
  pool: { query(text: string): Promise<unknown> },
  code: string,
  when = 'true',
): Promise<AsyncDisposable> {
  await pool.query(`create function refuse_record() returns trigger language plpgsql as $$
    begin if ${when} then raise exception 'refused by the test' using errcode = '${code}'; end if; return new; end $$`)
  await pool.query('create trigger refuse before insert on audit_reads for each row execute function refuse_record()')
  const mend = async (): Promise<void> => {
    await pool.query('drop trigger refuse on audit_reads; drop function refuse_record()')
  }
  return { [Symbol.asyncDispose]: mend }
}

function expectRefusal(answer: Answer, secret: string): void {
  expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } })
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(answer.text).not.toContain(secret)
}

const failures = {
  'a missing privilege': '42501',
  'a full disk': '53100',
  'a standby that takes no writes': '25006',
  'bad data': '22021',
  'something nobody thought of': 'XX000',
}

for (const [name, code] of Object.entries(failures)) {
  test(`[A1] no record, no secret: ${name}`, async ({ broker, database }) => {
    const { id } = await openPlainConnection(broker)
    const { access_token } = (await readToken(broker, id)).body
    await using broken = await failInserts(database.pool, code)
    expect(broken).toBeDefined()
    expectRefusal(await readToken(broker, id), access_token)
    expectRefusal(await broker.post(`/connections/${id}/refresh`), access_token)
  })
}

test('[A1] no record, no secret: the partition of today does not exist', async ({ broker, database }) => {
  const { id } = await openPlainConnection(broker)
  const { access_token } = (await readToken(broker, id)).body
  const { rows } = await database.pool.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'audit_reads'::regclass and inhrelid::regclass::text like '%' || to_char(now() at time zone 'UTC', 'YYYY_MM_DD')`,
  )
  const today = rows[0]?.name
  const { rows: bounds } = await database.pool.query<{ bound: string }>(
    'select pg_get_expr(relpartbound, oid) as bound from pg_class where oid = $1::regclass',
    [today],
  )
  await database.pool.query(`alter table audit_reads detach partition ${today}`)
  try {
    expectRefusal(await readToken(broker, id), access_token)
  } finally {
    await database.pool.query(`alter table audit_reads attach partition ${today} ${bounds[0]?.bound}`)
  }
  expect((await readToken(broker, id)).status).toBe(200)
})

test('[A1] one record that cannot be stored keeps back one secret, not those of its batch', async ({
  broker,
  database,
}) => {
  const { id } = await openPlainConnection(broker)
  const { access_token } = (await readToken(broker, id)).body
  await using broken = await failInserts(database.pool, '22021', `new.user_agent = 'poison'`)
  expect(broken).toBeDefined()
  const read = (agent: string) => broker.get(`/connections/${id}/token`, { headers: { 'user-agent': agent } })
  // all but the first find the others waiting, and share a batch with the bad one
  const agents = Array.from({ length: 24 }, (_, n) => (n === 13 ? 'poison' : `fine ${n}`))
  const given = await Promise.all(agents.map(read))
  const [poisoned, ...others] = [given[13], ...given.toSpliced(13, 1)]
  if (poisoned === undefined) throw new Error('there are 24')
  expectRefusal(poisoned, access_token)
  expect(others.map((answer) => answer?.status)).toEqual(others.map(() => 200))
  const recorded = (await eventsOf(broker, id)).map(({ user_agent }) => user_agent)
  for (const agent of agents) expect(recorded.includes(agent), agent).toBe(agent !== 'poison')
})

test('[A1] the record is durable before the answer leaves', async ({ broker, database }) => {
  const { id } = await openPlainConnection(broker)
  let isAnswered = false
  const read = (requestId: string) => broker.get(`/connections/${id}/token`, { headers: { 'x-request-id': requestId } })
  const answered = await whileLocked(database.pool, 'lock table audit_reads in share mode', async () => {
    const reading = read('waits-for-its-record').then((answer) => {
      isAnswered = true
      return answer
    })
    await waitForBlocked(database.pool)
    expect(isAnswered, 'nothing is answered while the record waits').toBe(false)
    return { reading }
  })
  expect((await answered.reading).status).toBe(200)
  // the answer is here, so the record must be there for everybody to see
  await read('is-there-at-once')
  const found = await database.pool.query(`select from audit_reads where request_id = 'is-there-at-once'`)
  expect(found.rowCount).toBe(1)
})

/** Starts a read whose record waits, lets `meanwhile` happen, and gives the answer. */
async function readRacing(broker: Client, pool: Parameters<typeof whileLocked>[0], id: string, change: string) {
  const { reading } = await whileLocked(pool, 'lock table audit_reads in share mode', async () => {
    const started = readToken(broker, id)
    await waitForBlocked(pool)
    await pool.query(change, [id])
    return { reading: started }
  })
  return reading
}

test('[A1] a read that races a change of status is not released', async ({ broker, database }) => {
  const { id } = await openPlainConnection(broker)
  const { access_token } = (await readToken(broker, id)).body
  const revoke = `update connections set status = 'revoked' where id = $1`
  const answer = await readRacing(broker, database.pool, id, revoke)
  expect(answer).toMatchObject({ status: 409, body: { code: 'connection_not_active', details: { status: 'revoked' } } })
  expect(answer.text).not.toContain(access_token)
  expect((await auditOf(broker, id)).slice(-2)).toEqual([
    'token_retrieval_failed superseded',
    'token_retrieval_failed connection_not_active',
  ])
})

test('[A1] a read that races a refresh gets the new token, never the one that was replaced', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  const { reading } = await whileLocked(database.pool, 'lock table audit_reads in share mode', async () => {
    const started = readToken(broker, id)
    await waitForBlocked(database.pool)
    const refreshing = broker.post(`/connections/${id}/refresh`)
    await provider.waitForRequest('token', 2)
    await waitForBlocked(database.pool, 2)
    await refreshed(database.pool, id)
    return { reading: Promise.all([started, refreshing]) }
  })
  const accessTokens = provider.secrets().filter((secret) => secret.startsWith('access-'))
  const [read, refresh] = await reading
  expect(read.body.access_token).toBe(accessTokens[1])
  expect(refresh).toMatchObject({ status: 200, body: { access_token: accessTokens[1] } })
  expect(await auditOf(broker, id)).toContain('token_retrieval_failed superseded')
})

async function refreshed(pool: Parameters<typeof setSecondsLeft>[0], id: string): Promise<void> {
  const { rows } = await pool.query('select from tokens where connection_id = $1 and version = 2', [id])
  expect(rows, 'the refresh was stored while the read waited').toHaveLength(1)
}
