import { expect } from 'vitest'
import { comeBack, complete, countSecrets, passHold, travelHeld } from './completion-scene.ts'
import { connect, openConnection } from './connection-scene.ts'
import { waitForBlocked, whileLocked } from './database-tools.ts'
import {
  type Scripted,
  arrive,
  auditOf,
  connectionOf,
  consent,
  openLink,
  openProvider,
  returned,
  send,
  test,
  travel,
} from './handshake-scene.ts'
import { appUrl, readToken, requestConnection, startTestBroker } from './harness.ts'
import { command, idOf, openInstallation, startBrokerWith } from './keys-scene.ts'
import { everythingOf, issued, requestReconnect, travelAgain } from './reconnect-scene.ts'

const refused = { status: 409, body: { code: 'completion_refused' } }
const app = { completion: 'app' }

/** Starts a Broker and stops it: what it sweeps, it sweeps at its start. */
async function sweep(database: { readonly url: string }): Promise<void> {
  await (await startTestBroker(database))[Symbol.asyncDispose]()
}

function tokenRequests(provider: Scripted): number {
  return provider.requestsTo('token').length
}

test('the sweeper destroys what no app came for, and only that', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const [missed, waiting] = [await travelHeld(broker, provider), await travelHeld(broker, provider)]
  await passHold(database.pool, missed.connection_id)
  await sweep(database)

  expect(await countSecrets(database.pool, missed.connection_id)).toBe(0)
  expect(await connectionOf(broker, missed.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'completion_missed',
  })
  expect(await auditOf(broker, missed.connection_id)).toEqual([
    'connection.requested success',
    'connection.held success',
    'completion_refused completion_missed',
  ])
  expect(returned(await arrive(missed))).toMatchObject({ status: 'error', error: 'completion_missed' })
  expect(await complete(broker, missed)).toMatchObject(refused)
  await sweep(database)
  expect(tokenRequests(provider)).toBe(0)
  expect(await complete(broker, waiting)).toMatchObject({ status: 200 })
})

test('a sweep and an app that is too late, at once: nothing is used, and each says so once at most', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  await passHold(database.pool, held.connection_id)
  const lock = `select 1 from handshakes where connection_id = '${held.connection_id}' for update`
  const [completing, sweeping] = await whileLocked(database.pool, lock, async () => {
    const both = [complete(broker, held), sweep(database)] as const
    await waitForBlocked(database.pool, 2)
    return both
  })
  expect(await completing).toMatchObject(refused)
  await sweeping
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status_reason: 'completion_missed' })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect(tokenRequests(provider)).toBe(0)
  const said = (await auditOf(broker, held.connection_id)).filter((line) => line.startsWith('completion_refused'))
  expect(said.length).toBeLessThanOrEqual(2)
})

test('a newer link destroys what is held by an older one', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  // nor can the newer one do without the app: forwarded, it would bind a stranger's account after all
  const weaker = await broker.post(`/connections/${held.connection_id}/reconnect`, {})
  expect(weaker).toMatchObject({
    status: 400,
    body: { code: 'invalid_request', details: { fields: [{ field: 'completion' }] } },
  })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(1)
  const { authUrl } = await requestReconnect(broker, held.connection_id, { completion: 'app', return_url: appUrl })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect(await complete(broker, held)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect(returned(await arrive(held))).toMatchObject({ status: 'error', error: 'link_expired' })
  expect(tokenRequests(provider)).toBe(0)
  const departure = await openLink(authUrl)
  expect(returned(await send(await consent(departure), { cookie: departure.cookie }))).toMatchObject({
    status: 'completion_required',
  })
})

test('a disconnect destroys what is held', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  expect((await broker.send('DELETE', `/connections/${held.connection_id}`)).status).toBe(200)
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect(await complete(broker, held)).toMatchObject({
    status: 409,
    body: { code: 'already_completed', details: { status: 'revoked' } },
  })
  expect(tokenRequests(provider)).toBe(0)
})

test('[H8] a profile that changed or was removed while something was held connects nobody', async ({
  broker,
  database,
}) => {
  for (const change of ['changed', 'removed']) {
    const provider = await openProvider(broker)
    const held = await travelHeld(broker, provider)
    const path = `/providers/${provider.providerId}`
    const answer =
      change === 'removed'
        ? await broker.send('DELETE', path)
        : await broker.send('PATCH', path, { body: { client_id: 'another-client' } })
    expect(answer.status, answer.text).toBeLessThan(300)
    expect(await complete(broker, held), change).toMatchObject({ status: 410, body: { code: 'link_expired' } })
    expect(tokenRequests(provider)).toBe(0)
    expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
    expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status_reason: 'profile_changed' })
  }
})

test('[H8] what nobody relied on may change meanwhile', async ({ broker }) => {
  const provider = await openProvider(broker)
  const held = await travelHeld(broker, provider)
  const body = { description: 'Another text' }
  expect((await broker.send('PATCH', `/providers/${provider.providerId}`, { body })).status).toBe(200)
  expect(await complete(broker, held)).toMatchObject({ status: 200 })
})

test('a reconnect that the app refuses leaves the old grant exactly as it was', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const before = await everythingOf(database.pool, id)
  for (const ending of ['wrong user', 'wrong code', 'late', 'missed']) {
    const held = await comeBack(await travelAgain(broker, id, app))
    expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access')[0])
    if (ending === 'late' || ending === 'missed') await passHold(database.pool, id)
    if (ending === 'missed') await sweep(database)
    const code = ending === 'wrong code' ? 'x'.repeat(43) : held.completionCode
    const answer = await complete(
      broker,
      { ...held, completionCode: code },
      ending === 'wrong user' ? 'victim' : 'user-1',
    )
    expect(answer, ending).toMatchObject(refused)
    expect(await everythingOf(database.pool, id), ending).toEqual(before)
    expect(await countSecrets(database.pool, id)).toBe(0)
  }
  expect(tokenRequests(provider)).toBe(1)
})

test('a reconnect that the app completes replaces the grant', async ({ broker }) => {
  const { provider, id } = await openConnection(broker)
  const held = await comeBack(await travelAgain(broker, id, app))
  expect(await complete(broker, held)).toMatchObject({ status: 200, body: { connection_id: id, status: 'active' } })
  expect((await readToken(broker, id)).body.access_token).toBe(issued(provider, 'access').at(-1))
  expect(tokenRequests(provider)).toBe(2)
  expect((await auditOf(broker, id)).slice(-3, -1)).toEqual([
    'connection.reconnected success',
    'connection.completed success',
  ])
})

test('a reconnect with another account is answered as such, and the old grant stays', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const before = await everythingOf(database.pool, id)
  const held = await comeBack(await travelAgain(broker, id, app))
  provider.behave({ idToken: { claims: { sub: 'somebody-else' } } })
  for (const _ of ['first', 'repeated']) {
    expect(await complete(broker, held)).toMatchObject({ status: 409, body: { code: 'account_mismatch' } })
  }
  expect(await everythingOf(database.pool, id)).toEqual(before)
})

test('of two links of one connection that both hold something, completing one destroys the other', async ({
  broker,
  database,
}) => {
  const provider = await openProvider(broker)
  const spec = { workspace_id: 'user-1', provider_name: provider.name, return_url: appUrl, ...app }
  const headers = { 'idempotency-key': `two-links-${provider.name}` }
  const holds = []
  for (const _ of [1, 2]) {
    const { body } = await broker.send<{ authUrl: string; connection_id: string; state: string }>(
      'POST',
      '/auth/consent-spec',
      { body: spec, headers },
    )
    const departure = await openLink(body.authUrl)
    const callback = await consent(departure)
    const requested = { ...body, provider_id: provider.providerId, scopes: [] }
    holds.push(await comeBack({ ...departure, ...requested, state: departure.state, callback }))
  }
  const [first, second] = holds
  if (first === undefined || second === undefined) throw new Error('there are two')
  expect(first.connection_id).toBe(second.connection_id)
  expect(await countSecrets(database.pool, first.connection_id)).toBe(2)
  expect(await complete(broker, second)).toMatchObject({ status: 200 })
  expect(await countSecrets(database.pool, first.connection_id)).toBe(0)
  expect(await complete(broker, first)).toMatchObject({
    status: 409,
    body: { code: 'already_completed', details: { status: 'active' } },
  })
  expect(tokenRequests(provider)).toBe(1)
})

test('a wrong user destroys whatever else is held for the connection', async ({ broker, database }) => {
  const { provider, id } = await openConnection(broker)
  const held = await comeBack(await travelAgain(broker, id, app))
  const other = await travelHeld(broker, provider)
  expect(await complete(broker, { ...held, completionCode: other.completionCode })).toMatchObject(refused)
  expect(await countSecrets(database.pool, id)).toBe(0)
  expect(await countSecrets(database.pool, other.connection_id)).toBe(1)
})

test('[V1] what is held and was tampered with is not taken, and nothing is sent', async ({ broker, database }) => {
  const provider = await openProvider(broker)
  const [held, other] = [await travelHeld(broker, provider), await travelHeld(broker, provider)]
  const handshakeOf = '(select id from handshakes where connection_id = $1)'
  await database.pool.query(
    `update handshake_attempts set secrets = (select secrets from handshake_attempts where handshake_id = ${handshakeOf.replace('$1', '$2')})
      where handshake_id = ${handshakeOf}`,
    [held.connection_id, other.connection_id],
  )
  expect(await complete(broker, held)).toMatchObject({ status: 500, body: { code: 'vault_integrity' } })
  expect(tokenRequests(provider)).toBe(0)
  expect(await complete(broker, other)).toMatchObject({ status: 200 })
})

test('completion "app" needs a return_url, and changes nothing for who does not ask for it', async ({ broker }) => {
  const provider = await openProvider(broker)
  const answer = await broker.post('/auth/consent-spec', { workspace_id: 'u', provider_name: provider.name, ...app })
  expect(answer).toMatchObject({ status: 400, body: { details: { fields: [{ field: 'return_url' }] } } })
  const { connection_id } = await requestConnection(broker, { provider_name: provider.name })
  expect(await complete(broker, { connection_id, completionCode: 'x'.repeat(43) })).toMatchObject(refused)
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  expect(await connect(broker, provider)).toMatch(/^[\da-f-]{36}$/)
})

test('[V4] what is held when the keys are rotated is completed under the new key alone', async () => {
  const installation = await openInstallation()
  const { database, keys, old, next } = installation
  await using first = await startBrokerWith(installation, { primary: old, extra: [next] })
  const startBeside = (primary: string, extra: string) =>
    startTestBroker(database, {
      keys: { ...keys, ENCRYPTION_KEY: primary },
      env: { BASE_URL: first.url, ENCRYPTION_KEYS_EXTRA: extra },
    })
  const provider = await openProvider(first)
  const held = await travelHeld(first, provider)
  expect(await command(installation, { primary: old, extra: [next] }, 'keys', 'add')).toMatchObject({ exitCode: 0 })
  const rotation = { primary: next, extra: [old] }
  expect(await command(installation, rotation, 'keys', 'rotate')).toMatchObject({ exitCode: 0 })
  expect(await command(installation, rotation, 'vault', 'verify')).toMatchObject({ exitCode: 0 })
  expect(await command(installation, rotation, 'keys', 'retire', idOf(old))).toMatchObject({ exitCode: 0 })

  await using second = await startBeside(next, '')
  expect(await complete(second, held)).toMatchObject({ status: 200 })
  expect((await readToken(second, held.connection_id)).status).toBe(200)
})
