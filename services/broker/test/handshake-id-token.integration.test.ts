import { type IdTokenForgery, answers } from '@nexus/testing'
import { expect } from 'vitest'
import {
  arrive,
  auditOf,
  connectionOf,
  openProvider,
  returned,
  staticEndpoints,
  test,
  travel,
} from './handshake-scene.ts'
import { readToken } from './harness.ts'

const now = Math.floor(Date.now() / 1000)

const forgeries: readonly (readonly [string, IdTokenForgery])[] = [
  ['signed by another key', { signature: 'other-key' }],
  ['with a flipped bit in its signature', { signature: 'flipped-bit' }],
  ['with alg none', { signature: 'none' }],
  ['signed by HMAC with the public key', { signature: 'hmac-public-key' }],
  ['signed by HMAC with the client secret', { signature: 'hmac-client-secret' }],
  ['under an unknown key id', { header: { kid: 'nobody-knows' } }],
  ['of another issuer', { claims: { iss: 'https://elsewhere.example' } }],
  ['of the issuer with a slash more', { claims: { iss: 'http://127.0.0.1/' } }],
  ['without issuer', { claims: { iss: undefined } }],
  ['for another client', { claims: { aud: 'another-client' } }],
  ['for two clients without azp', { claims: { aud: ['nexus-test', 'another-client'] } }],
  ['whose azp is another client', { claims: { aud: ['nexus-test', 'another'], azp: 'another' } }],
  ['without audience', { claims: { aud: undefined } }],
  ['that is expired', { claims: { exp: now - 120 } }],
  ['without exp', { claims: { exp: undefined } }],
  ['whose iat lies two minutes ahead', { claims: { iat: now + 120 } }],
  ['without iat', { claims: { iat: undefined } }],
  ['with another nonce', { claims: { nonce: 'of-somebody-else' } }],
  ['without nonce', { claims: { nonce: undefined } }],
  ['without subject', { claims: { sub: undefined } }],
  ['that is no JWT', { raw: 'not.a.token' }],
  ['that is encrypted junk', { raw: 'eyJhbGciOiJkaXIifQ..AAAA.BBBB.CCCC' }],
]

test.for(forgeries)('[P1] an ID token %s connects nothing', async ([, idToken], { broker, database }) => {
  const provider = await openProvider(broker, { provider: { behaviour: { idToken } } })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'provider_rejected', from: 'app' })

  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
    status: 'failed',
    status_reason: 'id_token_invalid',
    account: null,
    granted_scopes: null,
  })
  expect(await auditOf(broker, journey.connection_id)).toEqual([
    'connection.requested success',
    'id_token_verification_failed id_token_invalid',
  ])
  const { rows } = await database.pool.query('select 1 from tokens where connection_id = $1', [journey.connection_id])
  expect(rows).toEqual([])
  expect((await readToken(broker, journey.connection_id)).status).toBe(409)
})

test('[P1] openid asked means that an ID token must come', async ({ broker }) => {
  const provider = await openProvider(broker, { provider: { behaviour: { token: { idToken: 'never' } } } })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'provider_rejected' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status_reason: 'id_token_invalid' })
})

test('[P1] one that lies about nothing is accepted, up to a minute ahead of our clock', async ({ broker }) => {
  const provider = await openProvider(broker, {
    provider: { behaviour: { idToken: { claims: { iat: now + 30, email: 'ada@example.test' } } } },
  })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
    status: 'active',
    account: { issuer: provider.issuer, subject: 'ada', label: 'ada@example.test' },
  })
})

test('[P1] an algorithm other than the registered one is refused, though the issuer signs with it', async ({
  broker,
}) => {
  const provider = await openProvider(broker, { profile: { id_token_signed_response_alg: 'RS256' } })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ error: 'provider_rejected' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status_reason: 'id_token_invalid' })
})

test('[P1] an ID token that cannot be checked for want of keys connects nothing', async ({ broker }) => {
  const provider = await openProvider(broker)
  provider.always('jwks', answers.serverError(503))
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'provider_unavailable' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'failed', account: null })
})

test('[P1] the nonce of one attempt does not fit another of the same link', async ({ broker }) => {
  const provider = await openProvider(broker)
  const first = await travel(broker, provider)
  const nonce = first.url.searchParams.get('nonce')
  expect(nonce).toMatch(/^[\w-]{43}$/)
  provider.behave({ idToken: { claims: { nonce } } })
  const second = await travel(broker, provider)
  expect(returned(await arrive(second))).toMatchObject({ status: 'error' })
  expect(returned(await arrive(first))).toMatchObject({ status: 'success' })
})

const tenant = '72f988bf-86f1-41af-91ab-2d7cd011db47'

/** One metadata document for all tenants, as Microsoft Entra has it. */
function tenantsOf(profile: Readonly<Record<string, unknown>> = {}) {
  // saved without a look at the metadata, which would be remembered
  return (issuer: string) => ({ issuer_template: `${issuer}/{tenantid}/v2.0`, distinct_redirect_uri: true, ...profile })
}

/** It names a template instead of an issuer, and sends no `iss`. */
function entra(issuer: string) {
  const promise = { authorization_response_iss_parameter_supported: undefined }
  return { metadata: { issuer: `${issuer}/{tenantid}/v2.0`, ...promise }, authorization: { iss: null } }
}

test('[P1] issuer_template: the issuer is that of the verified tenant', async ({ broker }) => {
  const provider = await openProvider(broker, { profile: tenantsOf() })
  provider.behave({
    ...entra(provider.issuer),
    idToken: { claims: { iss: `${provider.issuer}/${tenant}/v2.0`, tid: tenant } },
  })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({
    account: { issuer: `${provider.issuer}/${tenant}/v2.0`, subject: 'ada' },
  })
})

test.for([
  ['the tenant of another', {}, 'other-tenant'],
  ['no tenant', {}, undefined],
  ['a tenant that is not allowed', { allowed_tenants: ['9188040d-6c67-4c5b-b112-36a304b66dad'] }, tenant],
] as const)('[P1] issuer_template: %s connects nothing', async ([, profile, tid], { broker }) => {
  const provider = await openProvider(broker, { profile: tenantsOf(profile) })
  provider.behave({
    ...entra(provider.issuer),
    idToken: { claims: { iss: `${provider.issuer}/${tenant}/v2.0`, tid } },
  })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'error', error: 'provider_rejected' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status_reason: 'id_token_invalid' })
})

test('[P1] plain OAuth: an ID token that nobody asked for names no account', async ({ broker }) => {
  const provider = await openProvider(broker, {
    profile: staticEndpoints,
    provider: { behaviour: { token: { idToken: 'always' }, idToken: { signature: 'none' } } },
  })
  const journey = await travel(broker, provider)
  expect(returned(await arrive(journey))).toMatchObject({ status: 'success' })
  expect(await connectionOf(broker, journey.connection_id)).toMatchObject({ status: 'active', account: null })
  expect((await readToken(broker, journey.connection_id)).body).not.toHaveProperty('id_token')
})
