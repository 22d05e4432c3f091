import { randomUUID } from 'node:crypto'
import type { AuditEventBody } from '@nexus/contracts'
import type { TestDatabase } from '@nexus/testing'
import { expect } from 'vitest'
import type { Client } from './harness.ts'
import { test } from './handshake-scene.ts'

type Page = { readonly events: readonly AuditEventBody[]; readonly next_cursor: string | null }

/** Rows of both tables at minutes before tomorrow's noon, where partitions exist whatever the time is now. */
async function seed(pool: TestDatabase['pool'], connectionId: string, minutes: readonly number[]): Promise<void> {
  for (const [n, minute] of minutes.entries()) {
    const [table, event] = n % 2 === 0 ? ['audit_events', 'token_refreshed'] : ['audit_reads', 'token_retrieved']
    await pool.query(
      `insert into ${table} (id, at, event, outcome, actor_kind, connection_id, data)
       values ($1, date_trunc('day', now(), 'UTC') + interval '36 hours' - make_interval(mins => $2), $3, 'success', 'system', $4, $5)`,
      [randomUUID(), minute, event, connectionId, { n }],
    )
  }
}

async function list(broker: Client, query: Readonly<Record<string, string>>): Promise<Page> {
  const answer = await broker.get<Page>(`/audit?${new URLSearchParams(query).toString()}`)
  expect(answer.status).toBe(200)
  return answer.body
}

async function listAll(broker: Client, query: Readonly<Record<string, string>>, whileListing = async () => {}) {
  const found: AuditEventBody[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Page = await list(broker, { ...query, ...(cursor === '' ? {} : { cursor }) })
    found.push(...page.events)
    cursor = page.next_cursor
    await whileListing()
  }
  return found
}

// several fall on one moment
const minutes = [9, 8, 7, 7, 7, 7, 6, 5, 4, 3]

test('both tables are listed as one, newest first, page by page', async ({ broker, database }) => {
  const id = randomUUID()
  await seed(database.pool, id, minutes)
  const whole = await list(broker, { connection_id: id })
  expect(whole.next_cursor).toBeNull()
  expect(whole.events).toHaveLength(minutes.length)
  const times = whole.events.map(({ at }) => at)
  expect(times).toEqual(times.toSorted().toReversed())
  expect(new Set(whole.events.map(({ event }) => event))).toEqual(new Set(['token_refreshed', 'token_retrieved']))
  for (const limit of ['1', '3', '4']) expect(await listAll(broker, { connection_id: id, limit })).toEqual(whole.events)
})

test('what is recorded while somebody pages changes nothing on the pages to come', async ({ broker, database }) => {
  const id = randomUUID()
  await seed(database.pool, id, minutes)
  const { events } = await list(broker, { connection_id: id })
  const paged = await listAll(broker, { connection_id: id, limit: '3' }, () => seed(database.pool, id, [0, 0]))
  expect(paged).toEqual(events)
})

test('filters: event, connection, from and until', async ({ broker, database }) => {
  const [id, other] = [randomUUID(), randomUUID()]
  await seed(database.pool, id, minutes)
  await seed(database.pool, other, minutes)
  const all = (await list(broker, { connection_id: id })).events
  const numbers = async (query: Readonly<Record<string, string>>) =>
    (await list(broker, { connection_id: id, ...query })).events.map(({ data }) => data['n'])

  expect(await numbers({ event_type: 'token_retrieved' })).toEqual([9, 7, 5, 3, 1].toSorted(byPlace(all)))
  expect(await numbers({ event_type: 'no.such.event' })).toEqual([])
  const sixth = all.find(({ data }) => data['n'] === 6)?.at ?? ''
  expect(await numbers({ since: sixth }), 'since is included').toEqual([9, 8, 7, 6])
  expect(await numbers({ until: sixth }), 'until is not').not.toContain(6)
  expect(await numbers({ since: sixth, until: sixth })).toEqual([])
  const shifted = new Date(Date.parse(sixth) + 5.5 * 3_600_000).toISOString().replace('Z', '+05:30')
  expect(await numbers({ since: shifted }), 'another time zone').toEqual([9, 8, 7, 6])
})

/** The order of the whole list, for numbers that share a moment. */
function byPlace(all: readonly AuditEventBody[]) {
  const places = new Map(all.map(({ data }, place) => [data['n'], place]))
  return (a: number, b: number): number => (places.get(a) ?? 0) - (places.get(b) ?? 0)
}

const badQueries: readonly (readonly [name: string, value: string])[] = [
  ['cursor', 'nonsense'],
  ['cursor', Buffer.from('["audit","2026-02-31 00:00:00+00","x"]').toString('base64url')],
  ['since', 'yesterday'],
  ['since', '0000-01-01T00:00:00Z'],
  ['until', '2026-13-01T00:00:00Z'],
  ['limit', '0'],
  ['limit', '201'],
  ['limit', 'many'],
  ['connection_id', '1'],
  ['event_type', ''],
  ['unknown', 'x'],
]

test.for(badQueries)('%s=%s is refused, by name', async ([name, value], { broker }) => {
  const { status, body } = await broker.get<{ code: string; message: string; details: { fields: unknown[] } }>(
    `/audit?${new URLSearchParams({ [name]: value }).toString()}`,
  )
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'invalid_request' })
  expect(body.message).toContain(name)
  expect(body.details.fields).toMatchObject([{ field: name }])
})

test('an offset that PostgreSQL does not know is a time all the same', async ({ broker }) => {
  expect((await broker.get('/audit?since=2026-01-01T00:00:00%2B23:00')).status).toBe(200)
})

test('a cursor of the connections is none of the audit', async ({ broker, database }) => {
  await seed(database.pool, randomUUID(), minutes)
  const { next_cursor } = await list(broker, { limit: '1' })
  const { status, body } = await broker.get(`/connections?cursor=${next_cursor}`)
  expect({ status, body }).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
})
