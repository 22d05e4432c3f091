import { expect } from 'vitest'
import { checksumTables } from './database-tools.ts'
import { type Answer, startTestBroker } from './harness.ts'
import { openProvider, test } from './handshake-scene.ts'
import { changeProfile, createProfile, profile } from './provider-profiles.ts'

type Fields = Readonly<Record<string, unknown>>
type Rule = readonly [name: string, fields: Fields, field: string]

const withDiscovery: Fields = { auth_url: undefined, token_url: undefined, issuer: 'http://127.0.0.1:9' }
const openid: Fields = { scopes: ['openid', 'read'] }

const reserved = [
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'redirect_uri',
  'response_type',
  'scope',
  'state',
  'nonce',
  'code',
  'code_challenge',
  'code_challenge_method',
  'code_verifier',
  'grant_type',
  'refresh_token',
  'request',
  'request_uri',
  'dpop_jkt',
  'State',
  'CODE_CHALLENGE',
]

const rules: readonly Rule[] = [
  ['no endpoints and no issuer', { auth_url: undefined, token_url: undefined }, 'auth_url'],
  ['an authorization endpoint alone', { token_url: undefined }, 'token_url'],
  ['discovery without an issuer', { enable_discovery: true }, 'issuer'],
  ['openid with endpoints but without an issuer', { ...openid, jwks_uri: 'http://127.0.0.1:9/jwks' }, 'issuer'],
  ['openid with endpoints but without keys', { ...openid, issuer: 'http://127.0.0.1:9' }, 'issuer'],
  [
    'a tenant template without its place',
    { ...withDiscovery, issuer_template: 'http://127.0.0.1:9/v2' },
    'issuer_template',
  ],
  ['tenants without a template', { ...withDiscovery, allowed_tenants: ['a'] }, 'allowed_tenants'],
  ['a secret that is never sent', { auth_header: 'none' }, 'auth_header'],
  ['basic without a secret', { auth_header: 'client_secret_basic', client_secret: undefined }, 'client_secret'],
  ['post without a secret', { auth_header: 'client_secret_post', client_secret: undefined }, 'client_secret'],
  ['no PKCE for a public client', { pkce: 'disabled', client_secret: undefined }, 'pkce'],
  [
    'no PKCE, no openid and a shared path',
    { pkce: 'disabled', issuer: 'http://127.0.0.1:9', distinct_redirect_uri: false },
    'pkce',
  ],
  ['a token handed to agents', { keep_token_fields: ['refresh_token'] }, 'keep_token_fields'],
  ['a secret handed to agents', { keep_token_fields: ['apiSecret'] }, 'keep_token_fields'],
  ['the code handed to agents', { keep_callback_params: ['code'] }, 'keep_callback_params'],
  ['the state handed to agents', { keep_callback_params: ['state'] }, 'keep_callback_params'],
  ...['auth_url', 'token_url', 'api_base_url', 'user_info_endpoint'].flatMap((field): Rule[] => [
    [`${field} that is no URL`, { [field]: 'acme' }, field],
    [`${field} of another scheme`, { [field]: 'ftp://acme.example/x' }, field],
    [`${field} with user information`, { [field]: 'https://u:p@acme.example/' }, field],
    [`${field} with a fragment`, { [field]: 'https://acme.example/#x' }, field],
    [`${field} of a cloud's metadata`, { [field]: 'http://169.254.169.254/latest' }, field],
    [`${field} in plain http on the Internet`, { [field]: 'http://8.8.8.8/x' }, field],
  ]),
]

function expectRefusal(answer: Answer, field: string): void {
  expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_profile', details: { field } } })
  expect((answer.body as { message: string }).message).toMatch(new RegExp(`^${field}: `))
}

test.for(rules)('refused when saved, and nothing is stored: %s', async ([, fields, field], { broker, database }) => {
  const [existing] = (await broker.get<{ id: string; name: string }[]>('/providers')).body
  const { id, name } = existing ?? (await createProfile(broker))
  const before = await checksumTables(database.pool)
  expectRefusal(await broker.post('/providers', profile(fields)), field)
  // a PUT without a secret keeps the one there is, and is another case
  if (!('client_secret' in fields)) {
    expectRefusal(await changeProfile(broker, 'PUT', id, profile({ name, ...fields })), field)
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('no map of parameters sets what the protocol decides, whatever its case', async ({ broker, database }) => {
  const before = await checksumTables(database.pool)
  for (const name of reserved) {
    const map = { [name]: 'x' }
    expectRefusal(await broker.post('/providers', profile({ params: map })), 'params')
    expectRefusal(await broker.post('/providers', profile({ params: { token_params: map } })), 'token_params')
    expectRefusal(await broker.post('/providers', profile({ params: { refresh_params: map } })), 'refresh_params')
  }
  expect(await checksumTables(database.pool)).toEqual(before)
})

test('what is unusual but allowed is saved', async ({ broker }) => {
  const allowed: readonly Fields[] = [
    { pkce: 'disabled' },
    { pkce: 'disabled', ...openid, issuer: 'http://127.0.0.1:9', jwks_uri: 'http://127.0.0.1:9/jwks' },
    { auth_header: 'none', client_secret: undefined },
    { issuer: 'http://127.0.0.1:9', distinct_redirect_uri: false },
    { params: { prompt: 'consent', access_type: 'offline', token_params: { audience: 'x' } } },
    { keep_token_fields: ['instance_url'], keep_callback_params: ['realmId'] },
    { scopes: [], zones: ['root'], scope_separator: ',' },
  ]
  for (const fields of allowed) {
    const { status, text } = await broker.post('/providers', profile(fields))
    expect(status, text).toBe(201)
  }
})

test('[H6] the redirect path is shared only where the metadata promises iss', async ({ broker }) => {
  const promise = 'authorization_response_iss_parameter_supported'
  for (const [promises, distinct] of [
    [true, false],
    [false, true],
    [undefined, true],
  ] as const) {
    const behaviour = { metadata: { [promise]: promises } }
    const { providerId, redirectUri, name } = await openProvider(broker, { provider: { behaviour } })
    const { body } = await broker.get(`/providers/${providerId}`)
    expect(body, `metadata says ${promises}`).toMatchObject({ distinct_redirect_uri: distinct })
    expect(redirectUri).toBe(`${broker.url}/auth/callback${distinct ? `/${name}` : ''}`)
  }
  const chosen = await openProvider(broker, { profile: { distinct_redirect_uri: true } })
  expect(chosen.redirectUri).toBe(`${broker.url}/auth/callback/${chosen.name}`)
})

test('[P4] with private networks closed, no URL of a profile leads inside', async ({ emptyDatabase }) => {
  await using broker = await startTestBroker(emptyDatabase, { env: { ALLOW_PRIVATE_NETWORKS: 'false' } })
  const inside = [
    'http://127.0.0.1/x',
    'https://127.0.0.1/x',
    'https://localhost/x',
    'https://10.1.2.3/x',
    'https://[::1]/x',
    'https://[::ffff:10.0.0.1]/x',
    'https://0x7f.1/x',
    'https://2130706433/x',
    'https://192.168.0.1/x',
    'https://169.254.169.254/x',
    'https://[fd00::1]/x',
    'https://100.64.0.1/x',
    'https://0.0.0.0/x',
  ]
  const outside = { auth_url: 'https://1.1.1.1/a', token_url: 'https://1.1.1.1/t' }
  for (const url of inside) {
    for (const field of ['auth_url', 'token_url', 'issuer', 'jwks_uri', 'user_info_endpoint', 'api_base_url']) {
      expectRefusal(await broker.post('/providers', profile({ ...outside, [field]: url })), field)
    }
  }
  expect((await broker.post('/providers', profile(outside))).status).toBe(201)
})
