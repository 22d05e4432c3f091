import { randomBytes } from 'node:crypto'
import { createStateSigner, sha256 } from '@nexus/crypto'
import { createLogger, createUuidV7 } from '@nexus/service'
import { type TestDatabase, captureLogs } from '@nexus/testing'
import { expect } from 'vitest'
import type { Origin } from '../src/audit/audit-event.ts'
import { selectAttempt } from '../src/handshake/attempt-store.ts'
import { type CaptureDeps, captureCredential } from '../src/handshake/capture-credential.ts'
import { openLink } from '../src/handshake/open-link.ts'
import { createNoticeRecorder } from '../src/notices/notice-recorder.ts'
import { complete, countSecrets, passHold } from './completion-scene.ts'
import { auditOf, connectionOf, test } from './handshake-scene.ts'
import { type TestBroker, appUrl, fileKeys, registerProfile, requestConnection } from './harness.ts'
import { openPool, vaultOf } from './keys-scene.ts'

const typed = { api_key: 'sk-canary-of-the-capture-test' }
const refused = { status: 409, body: { code: 'completion_refused' } }
const origin: Origin = {
  actorKind: 'browser',
  actorId: undefined,
  address: '192.0.2.7',
  userAgent: undefined,
  requestId: undefined,
}

let made = 0

/** A link to a provider whose key is typed in, opened by somebody, as the pages do it: the use cases on real parts. */
async function openForm(
  broker: TestBroker,
  database: TestDatabase,
  spec: Readonly<Record<string, unknown>> = {},
  domains: CaptureDeps['returnDomains'] = [{ kind: 'loopback' }],
) {
  made += 1
  const name = `keyed-${made}`
  const { providerId } = await registerProfile(broker, { name, auth_type: 'api_key', verify: 'off' })
  const wanted = { provider_name: name, completion: 'app', return_url: appUrl, ...spec }
  const { authUrl, connection_id } = await requestConnection(broker, wanted)
  const deps = captureDeps(broker, database, domains)
  const link = await openLink(deps, authUrl.split('/').at(-1) ?? '', undefined)
  if (link.kind !== 'form') throw new Error(`no form: ${link.kind}`)
  const jti = deps.signer.verify(link.state)?.jti ?? ''
  const capture = async (isSameBrowser = true, values: Readonly<Record<string, unknown>> = typed) => {
    const attempt = await selectAttempt(deps.database, sha256(jti))
    if (attempt === undefined) throw new Error('the attempt has vanished')
    return captureCredential(deps, { attempt, origin, isSameBrowser }, values)
  }
  return { name, providerId, connection_id, capture, ticket: authUrl.split('/').at(-1) ?? '', deps }
}

function captureDeps(broker: TestBroker, database: TestDatabase, returnDomains: CaptureDeps['returnDomains']) {
  const createId = createUuidV7(Date.now, randomBytes)
  const notAsked = () => Promise.reject(new Error('no provider is asked where a key is typed in'))
  return {
    database: openPool(database),
    vault: vaultOf(fileKeys.ENCRYPTION_KEY),
    createId,
    randomBytes,
    logger: createLogger({ level: 'trace', service: 'test', destination: captureLogs() }),
    notices: createNoticeRecorder(createId, false),
    schedule: { leadSeconds: 300, random: Math.random },
    monotonicMs: () => performance.now(),
    redirectUri: { baseUrl: broker.url, redirectPath: '/auth/callback' },
    signer: createStateSigner({ key: Buffer.from(fileKeys.STATE_KEY, 'base64') }),
    providerClient: { buildAuthorizationUrl: notAsked },
    tryCredentials: async () => 'unknown' as const,
    returnDomains,
    completionSeconds: 60,
  }
}

type Form = Awaited<ReturnType<typeof openForm>>

/** The person types the key in and goes back to the app. */
async function typeIn(form: Form) {
  const outcome = await form.capture()
  if (outcome.kind !== 'held') throw new Error(`nothing is held: ${outcome.kind}`)
  const { searchParams } = new URL(outcome.location)
  return { ...form, location: outcome.location, completionCode: searchParams.get('completion_code') ?? '' }
}

test('what was typed in is held sealed, and becomes the credential when the app says whose it is', async ({
  broker,
  database,
}) => {
  const held = await typeIn(await openForm(broker, database))
  expect(Object.fromEntries(new URL(held.location).searchParams)).toEqual({
    from: 'app',
    status: 'completion_required',
    connection_id: held.connection_id,
    provider: held.name,
    completion_code: expect.stringMatching(/^[\w-]{43}$/),
  })
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({ status: 'pending' })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(1)

  expect(await complete(broker, held)).toMatchObject({ status: 200, body: { status: 'active', provider: held.name } })
  const { body } = await broker.get(`/connections/${held.connection_id}/token`)
  expect(body).toMatchObject({ credentials: typed, provider: held.name })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect((await auditOf(broker, held.connection_id)).slice(0, 4)).toEqual([
    'connection.requested success',
    'connection.held success',
    'credential_captured success',
    'connection.completed success',
  ])
})

test('[H4] a key that a victim typed in for an attacker’s link is destroyed', async ({ broker, database }) => {
  const held = await typeIn(await openForm(broker, database, { workspace_id: 'attacker' }))
  expect(await complete(broker, held, 'victim')).toMatchObject(refused)
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect(await complete(broker, held, 'attacker')).toMatchObject(refused)
  expect(await connectionOf(broker, held.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'completion_refused',
  })
})

test('[H2] of many at once one is held; the same browser is sent the same way, anybody else is not', async ({
  broker,
  database,
}) => {
  const form = await openForm(broker, database)
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => form.capture()))
  const locations = new Set(outcomes.map((outcome) => (outcome.kind === 'held' ? outcome.location : outcome.kind)))
  expect([...locations]).toEqual([expect.stringContaining('completion_code=')])
  expect(await form.capture()).toEqual({ kind: 'held', location: [...locations][0] })
  expect(await form.capture(false)).toEqual({ kind: 'already_completed' })
  expect(await countSecrets(database.pool, form.connection_id)).toBe(1)
  expect(await openLink(form.deps, form.ticket, undefined)).toMatchObject({ kind: 'page', page: 'already-completed' })

  const [location = ''] = locations
  const completionCode = new URL(location).searchParams.get('completion_code') ?? ''
  expect(await complete(broker, { ...form, completionCode })).toMatchObject({ status: 200 })
  expect(await form.capture()).toEqual({ kind: 'already_completed' })
})

test('a typing error holds nothing and uses nothing up', async ({ broker, database }) => {
  const form = await openForm(broker, database)
  expect(await form.capture(true, { api_key: '' })).toMatchObject({ kind: 'faulty' })
  expect(await countSecrets(database.pool, form.connection_id)).toBe(0)
  expect(await complete(broker, await typeIn(form))).toMatchObject({ status: 200 })
})

test('[H10] where the URL to return to is no longer allowed a typed-in key is not held', async ({
  broker,
  database,
}) => {
  const form = await openForm(broker, database, {}, [{ kind: 'exact', hostname: 'other.example', port: undefined }])
  expect(await form.capture()).toEqual({ kind: 'expired' })
  expect(await countSecrets(database.pool, form.connection_id)).toBe(0)
  expect(await connectionOf(broker, form.connection_id)).toMatchObject({ status_reason: 'return_url_not_allowed' })
})

test('[H8] a profile that asks for something else by now gets nothing of what was held', async ({
  broker,
  database,
}) => {
  const held = await typeIn(await openForm(broker, database))
  const body = { params: { header_name: 'X-Other' } }
  expect((await broker.send('PATCH', `/providers/${held.providerId}`, { body })).status).toBe(200)
  expect(await complete(broker, held)).toMatchObject({ status: 410, body: { code: 'link_expired' } })
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
  expect((await broker.get(`/connections/${held.connection_id}/token`)).status).toBe(409)
})

test('a key that no app came for is destroyed', async ({ broker, database }) => {
  const held = await typeIn(await openForm(broker, database))
  await passHold(database.pool, held.connection_id)
  expect(await held.capture()).toEqual({ kind: 'already_completed' })
  expect(await complete(broker, held)).toMatchObject(refused)
  expect(await countSecrets(database.pool, held.connection_id)).toBe(0)
})
