import { randomUUID } from 'node:crypto'
import type { AgentToken, AgentTokenList, CreatedAgentToken, HubStatus, Zone, ZoneList } from '@nexus/contracts'
import { expect } from 'vitest'
import { bearing } from '../agents.ts'
import { type Nexus, startNexus, test as base } from './nexus.ts'

const test = base.extend('nexus', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const nexus = await startNexus(database, { REQUIRE_BEARER: 'true' })
  onCleanup(() => nexus[Symbol.asyncDispose]())
  await nexus.registerProfile({ name: 'payments', auth_type: 'api_key' })
  return nexus
})

type Refused = { readonly code: string; readonly details?: Readonly<Record<string, unknown>> }

const grant = (zone: string, permissions: string) => ({ zone, permissions })

/** A client with a token, as `nexus hub --remote` is one. */
function clientOf({ callAs }: Nexus, token: string) {
  return async <Body = Refused>(route: string, body?: unknown) => {
    const [method = '', path = ''] = route.split(' ')
    const answer = await callAs<Body>(bearing(token), method, `/v1${path}`, body)
    expect(Object.fromEntries(answer.headers)).toMatchObject({ 'cache-control': 'no-store' })
    expect(answer.headers.has('x-nexus-identity')).toBe(false)
    return answer
  }
}

async function openAdministrator(nexus: Nexus) {
  const { token } = await nexus.mint({ is_admin: true })
  return { token, admin: clientOf(nexus, token) }
}

/** A zone with a token that may do everything in it. */
async function openTeam(nexus: Nexus) {
  const zone = `team-${randomUUID().slice(0, 8)}`
  await nexus.createZone(zone)
  const minted = await nexus.mint({ zones: [grant(zone, 'rwx')] })
  return { zone, keyId: minted.key_id, token: minted.token, holder: clientOf(nexus, minted.token) }
}

test('an administrator opens a zone, mints for it, changes and revokes, and closes it, all from afar', async ({
  nexus,
}) => {
  const { admin } = await openAdministrator(nexus)
  expect(await admin<Zone>('POST /hub/zones', { name: 'eng' })).toMatchObject({ status: 201, body: { name: 'eng' } })
  expect(await admin('POST /hub/zones', { name: 'eng' })).toMatchObject({ status: 409, body: { code: 'zone_exists' } })

  const wanted = { name: 'build-bot', zones: [grant('eng', 'wr')], owner: 'Zoë; zone=root', expires_in: 3600 }
  const minted = await admin<CreatedAgentToken>('POST /hub/tokens', wanted)
  const { token, ...described } = minted.body
  expect(minted.status).toBe(201)
  expect(described).toMatchObject({ name: 'build-bot', owner: 'Zoë; zone=root', zones: [grant('eng', 'rw')] })
  const one = `/hub/tokens/${described.key_id}`
  expect(await admin<AgentToken>(`GET ${one}`)).toMatchObject({ status: 200, body: described })
  expect((await admin<AgentTokenList>('GET /hub/tokens?match=build-bot')).body.tokens).toEqual([described])
  const bot = clientOf(nexus, token)
  expect((await bot('GET /connections')).status).toBe(200)

  const widened = await admin<AgentToken>(`PUT ${one}/zones/root`, { permissions: 'r' })
  expect(widened).toMatchObject({ status: 200, body: { zones: [grant('eng', 'rw'), grant('root', 'r')] } })
  expect((await admin<AgentToken>(`DELETE ${one}/zones/root`)).body.zones).toEqual([grant('eng', 'rw')])
  expect(await admin(`DELETE ${one}/zones/eng`)).toMatchObject({ status: 409, body: { code: 'last_zone' } })

  expect((await admin<AgentToken>(`DELETE ${one}`)).body.revoked_at).toEqual(expect.any(String))
  await expect.poll(async () => (await bot('GET /connections')).body.code).toBe('invalid_token')
  expect((await admin<AgentTokenList>('GET /hub/tokens?match=build-bot')).body.tokens).toEqual([])
  const all = await admin<AgentTokenList>('GET /hub/tokens?match=build-bot&show_revoked=true')
  expect(all.body.tokens.map(({ key_id }) => key_id)).toEqual([described.key_id])

  expect(await admin('DELETE /hub/zones/eng')).toMatchObject({ status: 200, body: { name: 'eng', tokens_revoked: 0 } })
  expect((await admin<ZoneList>('GET /hub/zones')).body.zones.map(({ name }) => name)).not.toContain('eng')
  expect(await admin('DELETE /hub/zones/eng')).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
})

test('a zone with connections goes only by force, and its tokens with it', async ({ nexus }) => {
  const { admin } = await openAdministrator(nexus)
  const { zone, holder } = await openTeam(nexus)
  expect((await holder('POST /request-connection', { user_id: 'u', provider_name: 'payments' })).status).toBe(200)

  expect(await admin(`DELETE /hub/zones/${zone}`)).toMatchObject({ status: 409, body: { code: 'zone_not_empty' } })
  const removed = await admin(`DELETE /hub/zones/${zone}?force=true`)

  expect(removed).toMatchObject({ status: 200, body: { name: zone, connections: 1, tokens_revoked: 1 } })
  await expect.poll(async () => (await holder('GET /connections')).body.code).toBe('invalid_token')
  expect(await admin('DELETE /hub/zones/root')).toMatchObject({ status: 400 })
})

test('[C4] whoever holds x manages its own zones, and of all others there is nothing', async ({ nexus }) => {
  const [mine, yours] = [await openTeam(nexus), await openTeam(nexus)]
  const both = await nexus.mint({ zones: [grant(mine.zone, 'r'), grant(yours.zone, 'r')] })
  const { holder } = mine

  const made = await holder<CreatedAgentToken>('POST /hub/tokens', { name: 'own', zones: [grant(mine.zone, 'rw')] })
  expect(made.status).toBe(201)
  const seen = (await holder<AgentTokenList>('GET /hub/tokens?show_revoked=true')).body.tokens
  expect(seen.map(({ key_id }) => key_id)).toEqual([made.body.key_id, mine.keyId])
  expect((await holder<ZoneList>('GET /hub/zones')).body.zones).toMatchObject([{ name: mine.zone, connections: 0 }])
  const status = await holder<HubStatus>('GET /hub/status')
  expect(status.body).toMatchObject({ postgres: 'ok', zones: 1, tokens: { active: 2, revoked: 0 }, connections: {} })

  for (const keyId of [yours.keyId, both.key_id, randomUUID()]) {
    for (const route of [
      `GET /hub/tokens/${keyId}`,
      `DELETE /hub/tokens/${keyId}`,
      `DELETE /hub/tokens/${keyId}/zones/${mine.zone}`,
    ]) {
      const answer = await holder(route)
      expect(answer, route).toMatchObject({ status: 404, body: { code: 'token_not_found' } })
    }
  }
  for (const [wanted, code] of [
    [{ zones: [grant(yours.zone, 'r')] }, 'zone_not_found'],
    [{ zones: [grant('nowhere', 'r')] }, 'zone_not_found'],
    [{ zones: [grant(mine.zone, 'rc')] }, 'insufficient_permission'],
    [{ zones: [grant(mine.zone, 'r')], is_admin: true }, 'insufficient_permission'],
  ] as const) {
    const answer = await holder('POST /hub/tokens', { name: randomUUID(), ...wanted })
    expect(answer.body.code, JSON.stringify(wanted)).toBe(code)
  }
  const refused = { status: 403, body: { code: 'insufficient_permission' } }
  expect(await holder('POST /hub/zones', { name: 'mine-too' })).toMatchObject(refused)
  expect(await holder(`DELETE /hub/zones/${mine.zone}`)).toMatchObject(refused)
  expect(await clientOf(nexus, made.body.token)('GET /hub/tokens')).toMatchObject(refused)
})

test('an agent of several zones names the one in which it creates, by header or body', async ({ nexus }) => {
  const [mine, yours] = [await openTeam(nexus), await openTeam(nexus)]
  const owner = 'Zoë; zone=root'
  const { token, key_id } = await nexus.mint({ zones: [grant(mine.zone, 'rw'), grant(yours.zone, 'rw')], owner })
  const body = { user_id: 'u', provider_name: 'payments' }
  type Requested = Refused & { readonly connection_id: string }
  const request = (zone: string | undefined, more = {}) =>
    nexus.callAs<Requested>(
      {
        ...bearing(token),
        'x-request-id': `zone-${zone ?? 'unnamed'}`,
        ...(zone !== undefined && { 'x-nexus-zone-id': zone }),
      },
      'POST',
      '/v1/request-connection',
      { ...body, ...more },
    )

  const unnamed = await request(undefined)
  expect(unnamed).toMatchObject({ status: 400, body: { code: 'zone_required' } })
  expect(unnamed.body.details).toEqual({ zones: [mine.zone, yours.zone] })
  expect(await request('root')).toMatchObject({ status: 404, body: { code: 'zone_not_found' } })
  const [here, there] = [await request(mine.zone), await request(undefined, { zone: yours.zone })]
  expect([here.status, there.status]).toEqual([200, 200])

  const look = async ({ holder }: typeof mine, { body: { connection_id } }: typeof here) =>
    (await holder(`GET /check-connection/${connection_id}`)).status
  expect([await look(mine, here), await look(yours, here)]).toEqual([200, 404])
  expect([await look(mine, there), await look(yours, there)]).toEqual([404, 200])

  const recorded = async (zone: string) => {
    const line = await nexus.gateway.waitForOutput(
      new RegExp(`^.*"agent.request".*"request_id":"zone-${zone}".*$`, 'm'),
    )
    const { zone_id, subject_id, key_id: by } = JSON.parse(line[0]) as Record<string, string | null>
    return { zone_id, subject_id, by }
  }
  expect(await recorded(mine.zone)).toEqual({ zone_id: mine.zone, subject_id: owner, by: key_id })
  // a zone it does not see is only its own word
  expect(await recorded('root')).toEqual({ zone_id: null, subject_id: owner, by: key_id })
})

test('[L1] at level trace neither service prints a token, shown, minted or unknown', async ({ nexus }) => {
  const { token, admin } = await openAdministrator(nexus)
  const minted = await admin<CreatedAgentToken>('POST /hub/tokens', { name: 'leaky', zones: [grant('root', 'r')] })
  const unknown = `${minted.body.token.slice(0, -43)}${'A1b-'.repeat(11).slice(0, 43)}`
  const requestId = `leaks-${randomUUID()}`
  for (const shown of [minted.body.token, unknown]) {
    const headers = { 'x-nexus-api-key': shown, ...bearing(shown), 'user-agent': `agent ${shown}` }
    await nexus.callAs({ ...headers, 'x-request-id': requestId }, 'GET', '/v1/hub/tokens')
  }
  const isRecorded = new RegExp(`"status_code":401,[^\\n]*"request_id":"${requestId}"`)
  await nexus.gateway.waitForOutput(isRecorded)

  const printed = nexus.gateway.output() + nexus.broker.output()
  expect(printed).toContain(minted.body.token.slice(0, -44))
  for (const secret of [token, minted.body.token, unknown]) expect(printed).not.toContain(secret.slice(-43))
})
