import { createHash, randomBytes } from 'node:crypto'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, exportSPKI, importJWK, jwtVerify } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createBrowser } from '../browser.ts'
import { createManualClock } from '../clock.ts'
import * as answers from './answers.ts'
import { startScriptedProvider, type ScriptedProvider, type ScriptedProviderOptions } from './scripted-provider.ts'

const redirectUri = 'http://127.0.0.1:9/auth/callback'
const client = { clientId: 'nexus', clientSecret: 'p@ss:w/ord %', redirectUris: [redirectUri] }
const codeVerifier = randomBytes(32).toString('base64url')

async function start(options: ScriptedProviderOptions = {}): Promise<ScriptedProvider> {
  const provider = await startScriptedProvider({ clients: [client], ...options })
  onTestFinished(() => provider[Symbol.asyncDispose]())
  return provider
}

async function authorize(provider: ScriptedProvider, extra: Record<string, string> = {}): Promise<URLSearchParams> {
  const url = new URL(`${provider.issuer}/authorize`)
  const query = {
    client_id: 'nexus',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid read',
    state: 'xyz',
    nonce: 'n1',
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra,
  }
  url.search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString()
  const page = await createBrowser().open(url, { stopAt: (next) => next.port === '9' })
  return page.unsent?.form ?? page.url.searchParams
}

const basic = `Basic ${btoa(`nexus:${encodeURIComponent(client.clientSecret)}`)}`

function post(
  provider: ScriptedProvider,
  form: Record<string, string>,
  headers: Record<string, string> = { authorization: basic, accept: 'application/json' },
): Promise<Response> {
  return fetch(`${provider.issuer}/token`, { method: 'POST', headers, body: new URLSearchParams(form) })
}

async function ask(...request: Parameters<typeof post>): Promise<Record<string, unknown>> {
  const answer: unknown = await (await post(...request)).json()
  return { ...Object(answer) }
}

async function codeGrant(provider: ScriptedProvider): Promise<Record<string, string>> {
  return {
    grant_type: 'authorization_code',
    code: (await authorize(provider)).get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  }
}

async function signIn(provider: ScriptedProvider): Promise<Record<string, unknown>> {
  return ask(provider, await codeGrant(provider))
}

function refresh(provider: ScriptedProvider, token: unknown): Promise<Record<string, unknown>> {
  return ask(provider, { grant_type: 'refresh_token', refresh_token: String(token) })
}

const invalidGrant = { error: 'invalid_grant' }

test('an honest sign-in breaks no rule', async () => {
  const provider = await start()
  expect(Object.fromEntries(await authorize(provider))).toMatchObject({ state: 'xyz', iss: provider.issuer })
  const tokens = await signIn(provider)
  expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: 'openid read' })
  const keys = createRemoteJWKSet(new URL(`${provider.issuer}/jwks`))
  const { payload } = await jwtVerify(String(tokens['id_token']), keys, { issuer: provider.issuer, audience: 'nexus' })
  expect(payload).toMatchObject({ sub: 'ada', nonce: 'n1' })
  expect(provider.violations).toEqual([])
  expect(provider.secrets()).toEqual(expect.arrayContaining([tokens['access_token'], tokens['refresh_token']]))
})

describe('token requests that break the protocol are refused and remembered', () => {
  test.each<[string, Record<string, string>, string]>([
    ['another verifier', { code_verifier: 'a'.repeat(43) }, 'code_verifier does not match'],
    ['a short verifier', { code_verifier: 'short' }, 'code_verifier is not of the form'],
    ['another redirect_uri', { redirect_uri: `${redirectUri}/` }, 'redirect_uri differs'],
    ['a second kind of authentication', { client_secret: client.clientSecret }, 'two ways at once'],
  ])('%s', async (_name, change, violation) => {
    const provider = await start()
    const answer = await ask(provider, { ...(await codeGrant(provider)), ...change })
    expect(answer['error']).toMatch(/^invalid_(grant|client)$/)
    expect(provider.violations).toEqual([expect.stringContaining(violation)])
  })

  test('no verifier at all', async () => {
    const provider = await start()
    const { code_verifier: _, ...grant } = await codeGrant(provider)
    expect(await ask(provider, grant)).toMatchObject(invalidGrant)
    expect(provider.violations).toEqual(['token: code_verifier is missing'])
  })

  test('a wrong secret', async () => {
    const provider = await start()
    const response = await post(provider, await codeGrant(provider), { authorization: `Basic ${btoa('nexus:wrong')}` })
    expect(response.status).toBe(401)
    expect(provider.violations).toEqual(['token: wrong client secret'])
  })

  test('a verifier without a challenge', async () => {
    const provider = await start({ pkce: 'optional' })
    const code = (await authorize(provider, { code_challenge: '', code_challenge_method: '' })).get('code') ?? ''
    expect(await ask(provider, { ...(await codeGrant(provider)), code })).toMatchObject(invalidGrant)
  })
})

describe('authorization requests that break the protocol are refused', () => {
  test.each<[string, Record<string, string>]>([
    ['no challenge', { code_challenge: '', code_challenge_method: '' }],
    ['plain', { code_challenge_method: 'plain' }],
    ['no method', { code_challenge_method: '' }],
  ])('PKCE: %s', async (_name, change) => {
    const provider = await start()
    expect((await authorize(provider, change)).get('error')).toBe('invalid_request')
    expect(provider.violations).toHaveLength(1)
  })

  test('an unregistered redirect_uri gets a page, not a redirect', async () => {
    const provider = await start()
    const parameters = await authorize(provider, { redirect_uri: 'http://127.0.0.1:9/elsewhere' })
    expect(parameters.get('error')).toBeNull()
    expect(provider.violations).toEqual([expect.stringContaining('unknown redirect_uri')])
  })
})

test('client_secret_post and public clients authenticate in their own way only', async () => {
  const provider = await start()
  const posted = { client_id: 'nexus', client_secret: client.clientSecret }
  expect(await ask(provider, { ...(await codeGrant(provider)), ...posted }, {})).toHaveProperty('access_token')
  expect(await ask(provider, { ...(await codeGrant(provider)), client_id: 'nexus' }, {})).toMatchObject({
    error: 'invalid_client',
  })
})

test('a code works once; every attempt is counted, and the second ends the tokens of the first', async () => {
  const provider = await start()
  const grant = await codeGrant(provider)
  const tokens = await ask(provider, grant)
  expect(await ask(provider, grant)).toMatchObject(invalidGrant)
  expect(provider.counts().codesExchanged).toEqual(new Map([[grant['code'], 2]]))
  expect(await refresh(provider, tokens['refresh_token'])).toMatchObject(invalidGrant)
})

test('of two simultaneous presentations of a code one wins', async () => {
  const provider = await start()
  const grant = await codeGrant(provider)
  const outcomes = await Promise.all([ask(provider, grant), ask(provider, grant)])
  expect(outcomes.filter((outcome) => 'access_token' in outcome)).toHaveLength(1)
})

describe('refresh tokens', () => {
  test('a superseded one is found out, counted, and ends the family', async () => {
    const provider = await start()
    const first = await signIn(provider)
    const second = await refresh(provider, first['refresh_token'])
    expect(provider.counts()).toMatchObject({ supersededPresentations: 0 })
    expect(await refresh(provider, first['refresh_token'])).toMatchObject(invalidGrant)
    expect(await refresh(provider, second['refresh_token'])).toMatchObject(invalidGrant)
    expect(provider.counts()).toMatchObject({ refreshRequests: 3, supersededPresentations: 1, reuseDetections: 1 })
  })

  test('inside the grace period a superseded one still works, and is counted all the same', async () => {
    const clock = createManualClock()
    const provider = await start({ now: clock.now, behaviour: { token: { graceSeconds: 30 } } })
    const first = await signIn(provider)
    await refresh(provider, first['refresh_token'])
    clock.advance(30_000)
    expect(await refresh(provider, first['refresh_token'])).toHaveProperty('access_token')
    clock.advance(1)
    expect(await refresh(provider, first['refresh_token'])).toMatchObject(invalidGrant)
    expect(provider.counts()).toMatchObject({ supersededPresentations: 2, reuseDetections: 1 })
  })

  test('constant, omitted on refresh, none', async () => {
    const provider = await start({ behaviour: { token: { refreshTokens: 'constant' } } })
    const { refresh_token: token } = await signIn(provider)
    expect(await refresh(provider, token)).toMatchObject({ refresh_token: token })
    provider.behave({ token: { refreshTokens: 'omit-on-refresh' } })
    expect(await refresh(provider, token)).not.toHaveProperty('refresh_token')
    expect(await refresh(provider, token)).toHaveProperty('access_token')
    provider.behave({ token: { refreshTokens: 'none' } })
    expect(await signIn(provider)).not.toHaveProperty('refresh_token')
    expect(provider.counts().supersededPresentations).toBe(0)
  })

  test('a lost answer has used the token up; a cut connection has not', async () => {
    const provider = await start()
    const { refresh_token: token } = await signIn(provider)
    provider.next('token', answers.cutConnection(), answers.loseAnswer())
    await expect(refresh(provider, token)).rejects.toThrow('fetch failed')
    await expect(refresh(provider, token)).rejects.toThrow('fetch failed')
    expect(await refresh(provider, token)).toMatchObject(invalidGrant)
    expect(provider.counts()).toMatchObject({ refreshRequests: 3, supersededPresentations: 1 })
  })

  test('simultaneous refreshes of one grant are noticed', async () => {
    const provider = await start({ behaviour: { token: { refreshTokens: 'constant' } } })
    const { refresh_token: token } = await signIn(provider)
    const gate = answers.createGate('after')
    provider.next('token', gate.step)
    const held = refresh(provider, token)
    await gate.arrived
    await refresh(provider, token)
    gate.open()
    await held
    expect(provider.counts().mostConcurrentRefreshes).toBe(2)
  })
})

describe('forged ID tokens', () => {
  const forge = async (
    behaviour: ScriptedProviderOptions['behaviour'],
  ): Promise<{ token: string; provider: ScriptedProvider }> => {
    const provider = await start({ behaviour: behaviour ?? {} })
    return { token: String((await signIn(provider))['id_token']), provider }
  }
  const verify = async (provider: ScriptedProvider, token: string): Promise<unknown> =>
    jwtVerify(token, createRemoteJWKSet(new URL(`${provider.issuer}/jwks`)))

  test.each(['other-key', 'flipped-bit'] as const)('%s: everything is right but the signature', async (signature) => {
    const { token, provider } = await forge({ idToken: { signature } })
    await expect(verify(provider, token)).rejects.toThrow('signature verification failed')
    expect(decodeJwt(token)).toMatchObject({ iss: provider.issuer, aud: 'nexus', nonce: 'n1' })
  })

  test('hmac-public-key verifies for whoever takes the published key for a secret', async () => {
    const { token, provider } = await forge({ idToken: { signature: 'hmac-public-key' } })
    const jwks: { keys: [{ kty: string }] } = JSON.parse(await (await fetch(`${provider.issuer}/jwks`)).text())
    const published = await importJWK({ ...jwks.keys[0] }, 'RS256', { extractable: true })
    if (published instanceof Uint8Array) throw new Error('not a public key')
    const secret = new TextEncoder().encode(await exportSPKI(published))
    await expect(jwtVerify(token, secret, { algorithms: ['HS256'] })).resolves.toBeDefined()
  })

  test('alg none has no signature', async () => {
    const { token } = await forge({ idToken: { signature: 'none' } })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'none' })
    expect(token.endsWith('.')).toBe(true)
  })

  test('claims and headers are overridden or removed, under a good signature', async () => {
    const claims = { iss: 'https://evil.test', aud: ['nexus', 'b'], azp: 'b', nonce: undefined, exp: 5e9 }
    const { token } = await forge({ idToken: { claims, header: { kid: 'unknown' } } })
    expect(decodeJwt(token)).toMatchObject({ iss: 'https://evil.test', aud: ['nexus', 'b'], azp: 'b', exp: 5e9 })
    expect(decodeJwt(token)).not.toHaveProperty('nonce')
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'RS256', kid: 'unknown' })
  })

  test('rotated keys: the old token verifies while the old key is published', async () => {
    const { token, provider } = await forge({})
    await provider.rotateKeys({ keepOld: true })
    await expect(verify(provider, token)).resolves.toBeDefined()
    await expect(verify(provider, String((await signIn(provider))['id_token']))).resolves.toBeDefined()
    await provider.rotateKeys({ keepOld: false, publish: false })
    await expect(verify(provider, token)).rejects.toThrow('no applicable key')
  })
})

test('the authorization response lies as told', async () => {
  const provider = await start()
  provider.behave({ authorization: { iss: 'https://other.test', state: null, extra: { realmId: '42' } } })
  expect(Object.fromEntries(await authorize(provider))).toEqual({
    code: expect.any(String),
    iss: 'https://other.test',
    realmId: '42',
  })
  provider.behave({ authorization: { iss: null, error: 'access_denied', state: undefined, extra: {} } })
  expect(Object.fromEntries(await authorize(provider))).toEqual({ error: 'access_denied', state: 'xyz' })
  provider.behave({ authorization: { error: undefined, responseMode: 'form_post', code: 'bogus' } })
  expect(Object.fromEntries(await authorize(provider))).toEqual({ code: 'bogus', state: 'xyz' })
})

test('the metadata lies as told, with a path in the issuer too', async () => {
  const provider = await start({
    issuerPath: '/tenant',
    behaviour: { metadata: { issuer: 'https://x.test', jwks_uri: undefined } },
  })
  for (const path of ['/tenant/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/tenant']) {
    const metadata: unknown = await (await fetch(`http://127.0.0.1:${provider.port}${path}`)).json()
    expect(metadata).toMatchObject({ issuer: 'https://x.test', token_endpoint: `${provider.issuer}/token` })
    expect(metadata).not.toHaveProperty('jwks_uri')
  }
})

test('token answers take the form the provider is known for', async () => {
  const provider = await start({ behaviour: { token: { format: 'by-accept', lifetimeSeconds: null } } })
  const response = await post(provider, await codeGrant(provider), { authorization: basic })
  expect(response.headers.get('content-type')).toBe('application/x-www-form-urlencoded')
  const fields = new URLSearchParams(await response.text())
  expect(fields.get('access_token')).toEqual(expect.any(String))
  expect(fields.has('expires_in')).toBe(false)
  provider.next('token', answers.honestAsForm('text/plain'))
  const mislabelled = await post(provider, await codeGrant(provider))
  expect(mislabelled.headers.get('content-type')).toBe('text/plain')
})

test('scripted answers come in order, then the standing one, then the honest one', async () => {
  const provider = await start()
  provider.next('token', answers.tooManyRequests(7), answers.alter({ access_token: undefined, expires_in: '3600' }))
  provider.always('token', answers.serverError(502))
  const limited = await post(provider, await codeGrant(provider))
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7'])
  const altered = await signIn(provider)
  expect(altered).toMatchObject({ expires_in: '3600' })
  expect(altered).not.toHaveProperty('access_token')
  expect((await post(provider, await codeGrant(provider))).status).toBe(502)
  provider.always('token', undefined)
  expect(await signIn(provider)).toHaveProperty('access_token')
})

test('answers that never end, or end too soon', async () => {
  const provider = await start()
  const url = `${provider.issuer}/jwks`
  provider.next('jwks', answers.stall(), answers.drip(), answers.cutMidway(), answers.oversized(2_000_000))
  await expect(fetch(url, { signal: AbortSignal.timeout(100) })).rejects.toThrow('timeout')
  const dripping = await fetch(url, { signal: AbortSignal.timeout(300) })
  await expect(dripping.text()).rejects.toThrow('timeout')
  await expect((await fetch(url)).text()).rejects.toThrow('terminated')
  expect((await (await fetch(url)).text()).length).toBeGreaterThan(2_000_000)
})

test('revocation ends the family, userinfo asks for a living token', async () => {
  const provider = await start()
  const tokens = await signIn(provider)
  const userinfo = (): Promise<Response> =>
    fetch(`${provider.issuer}/userinfo`, { headers: { authorization: `Bearer ${String(tokens['access_token'])}` } })
  expect(await (await userinfo()).json()).toMatchObject({ sub: 'ada' })
  const revocation = await fetch(`${provider.issuer}/revoke`, {
    method: 'POST',
    headers: { authorization: basic },
    body: new URLSearchParams({ token: String(tokens['refresh_token']), token_type_hint: 'refresh_token' }),
  })
  expect(revocation.status).toBe(200)
  expect((await userinfo()).status).toBe(401)
  expect(provider.requestsTo('revocation').map(({ form }) => form.get('token'))).toEqual([tokens['refresh_token']])
})

test('a test can wait for a request, and an answer never asked for fails it', async () => {
  const provider = await startScriptedProvider()
  provider.next('jwks', answers.json({}), answers.json({}))
  const second = provider.waitForRequest('jwks', 2)
  await fetch(`${provider.issuer}/jwks`, { headers: { 'x-first': 'yes' } })
  await fetch(`${provider.issuer}/jwks`)
  expect((await second).headers).not.toHaveProperty('x-first')
  provider.next('token', answers.json({}))
  await expect(provider[Symbol.asyncDispose]()).rejects.toThrow('1 scripted answers of token were never asked for')
})

test('a step that throws fails the test', async () => {
  const provider = await startScriptedProvider()
  provider.next('jwks', () => {
    throw new Error('oops')
  })
  await expect(fetch(`${provider.issuer}/jwks`)).rejects.toThrow('fetch failed')
  await expect(provider[Symbol.asyncDispose]()).rejects.toThrow('oops')
})
