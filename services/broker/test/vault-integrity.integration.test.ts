import { expect } from 'vitest'
import { openConnection, openPlainConnection } from './connection-scene.ts'
import { eventually, setSecondsLeft } from './database-tools.ts'
import { type Client, readToken } from './harness.ts'
import { connectionOf, eventsOf, test } from './handshake-scene.ts'

type Pool = { query(text: string, values: unknown[]): Promise<unknown> }

/** Ways to spoil the sealed credentials of a row, as SQL assigned to it. */
const damages: readonly (readonly [name: string, assignment: string])[] = [
  ['the format version', 'credentials = set_byte(credentials, 0, get_byte(credentials, 0) # 1)'],
  ['the key id', 'credentials = set_byte(credentials, 3, get_byte(credentials, 3) # 1)'],
  ['the nonce', 'credentials = set_byte(credentials, 9, get_byte(credentials, 9) # 128)'],
  ['the ciphertext', 'credentials = set_byte(credentials, 25, get_byte(credentials, 25) # 1)'],
  [
    'the last bit of the tag',
    'credentials = set_byte(credentials, length(credentials) - 1, get_byte(credentials, length(credentials) - 1) # 1)',
  ],
  ['a byte less', 'credentials = substring(credentials for length(credentials) - 1)'],
  ['a byte more', `credentials = credentials || '\\x00'`],
  ['nothing left', `credentials = ''`],
  ['the key id beside it', 'key_id = set_byte(key_id, 0, get_byte(key_id, 0) # 1)'],
  ['the version beside it', 'version = version + 1'],
]

async function damage(pool: Pool, id: string, assignment: string): Promise<void> {
  await pool.query(`update tokens set ${assignment} where connection_id = $1`, [id])
}

async function expectIntegrityFailure(broker: Client, id: string, secret: string): Promise<void> {
  const answer = await readToken(broker, id)
  expect(answer).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
  expect(answer.text).not.toContain(secret)
  expect(answer.body, 'says nothing of the inside').not.toHaveProperty('details')
  await eventually('an audit event tells of it', async () =>
    (await eventsOf(broker, id)).find(({ event }) => event === 'vault.integrity_failed'),
  )
  expect((await eventsOf(broker, id)).find(({ event }) => event === 'vault.integrity_failed')).toMatchObject({
    outcome: 'token',
    actor_kind: 'system',
    connection_id: id,
  })
}

test.for(damages)('[V1] %s is changed: the read fails closed', async ([, assignment], { broker, database }) => {
  const { id } = await openPlainConnection(broker)
  const { access_token } = (await readToken(broker, id)).body
  const counted = await countFailures(broker)
  await damage(database.pool, id, assignment)
  await expectIntegrityFailure(broker, id, access_token)
  expect(await countFailures(broker), 'a metric').toBe(counted + 1)
  expect(await connectionOf(broker, id), 'the connection is not to blame').toMatchObject({ status: 'active' })
  const refused = await broker.post(`/connections/${id}/refresh`)
  expect(refused).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
})

async function countFailures(broker: Client): Promise<number> {
  const { text } = await broker.get('/metrics')
  return Number(/nexus_vault_integrity_failures_total\{[^}]*purpose="token"[^}]*\} (\d+)/.exec(text)?.[1] ?? 0)
}

test('[V1] ciphertexts that change places open in neither row', async ({ broker, database }) => {
  const [one, two] = [await openPlainConnection(broker), await openPlainConnection(broker)]
  const secrets = [
    (await readToken(broker, one.id)).body.access_token,
    (await readToken(broker, two.id)).body.access_token,
  ]
  await database.pool.query(
    `update tokens t set credentials = o.credentials from tokens o
      where (t.connection_id, o.connection_id) in (($1, $2), ($2, $1))`,
    [one.id, two.id],
  )
  await expectIntegrityFailure(broker, one.id, secrets[1] ?? '')
  await expectIntegrityFailure(broker, two.id, secrets[0] ?? '')
})

test('[V1] an older ciphertext put back under the current version does not open', async ({ broker, database }) => {
  const { id } = await openPlainConnection(broker)
  const { access_token } = (await readToken(broker, id)).body
  const { rows } = await database.pool.query('select credentials from tokens where connection_id = $1', [id])
  await setSecondsLeft(database.pool, id, -1)
  expect((await readToken(broker, id)).status).toBe(200)
  await database.pool.query('update tokens set credentials = $2 where connection_id = $1', [id, rows[0].credentials])
  await expectIntegrityFailure(broker, id, access_token)
})

test('[V1] one damaged row is refused by itself: the others of its batch are served', async ({ broker, database }) => {
  const opened = await Promise.all(Array.from({ length: 6 }, () => openPlainConnection(broker)))
  const [damaged, ...healthy] = opened.map(({ id }) => id)
  await damage(database.pool, damaged ?? '', 'credentials = set_byte(credentials, 25, get_byte(credentials, 25) # 1)')
  const asked = Array.from({ length: 4 }, () => [damaged ?? '', ...healthy]).flat()
  const answers = await Promise.all(asked.map(async (id) => ({ id, ...(await readToken(broker, id)) })))
  for (const { id, status } of answers) expect(status, id).toBe(id === damaged ? 500 : 200)
})

test('[V1] a damaged client secret stops refreshes of its profile, and living tokens are served', async ({
  broker,
  database,
}) => {
  const { provider, id } = await openConnection(broker)
  await database.pool.query(
    'update provider_profiles set client_secret = set_byte(client_secret, 20, get_byte(client_secret, 20) # 1) where id = $1',
    [provider.providerId],
  )
  await setSecondsLeft(database.pool, id, 30)
  expect((await readToken(broker, id)).status).toBe(200)
  await setSecondsLeft(database.pool, id, -1)
  expect(await readToken(broker, id), 'it was tried a moment ago').toMatchObject({ status: 502 })
  await database.pool.query('update tokens set next_attempt_at = null where connection_id = $1', [id])
  expect(await readToken(broker, id)).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
  expect(provider.counts().refreshRequests).toBe(0)
  expect((await broker.get(`/providers/${provider.providerId}`)).body).toMatchObject({ has_client_secret: true })
  expect((await broker.get('/metrics')).text).toMatch(/vault_integrity_failures_total\{[^}]*purpose="client-secret"/)
})
