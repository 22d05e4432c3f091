import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { createBrowser, type Browser, type Page } from '../browser.ts'
import { startDemoProvider, type DemoProvider, type DemoProviderOptions } from './demo-provider.ts'

const redirectUri = 'http://127.0.0.1:9/auth/callback'
const client = { client_id: 'nexus', client_secret: 's'.repeat(40), client_name: 'Nexus', redirect_uris: [redirectUri] }

async function start(options: DemoProviderOptions = {}): Promise<DemoProvider> {
  const demo = await startDemoProvider({ clients: [client], ...options })
  onTestFinished(() => demo[Symbol.asyncDispose]())
  return demo
}

type Authorization = { readonly page: Page; readonly codeVerifier: string }

async function authorize(
  demo: DemoProvider,
  extra: Record<string, string> = {},
  browser: Browser = createBrowser(),
): Promise<Authorization> {
  const codeVerifier = randomBytes(32).toString('base64url')
  const url = new URL('/auth', demo.issuer)
  url.search = new URLSearchParams({
    client_id: 'nexus',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid profile',
    state: 'xyz',
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...extra,
  }).toString()
  const page = await browser.open(url, { stopAt: (next) => next.href.startsWith(redirectUri) })
  return { page, codeVerifier }
}

async function askToken(demo: DemoProvider, form: Record<string, string>): Promise<Record<string, unknown>> {
  const response = await fetch(`${demo.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`nexus:${client.client_secret}`)}` },
    body: new URLSearchParams(form),
  })
  const answer: unknown = await response.json()
  if (typeof answer !== 'object' || answer === null) throw new Error('no JSON object')
  return { ...answer }
}

function exchange(demo: DemoProvider, { page, codeVerifier }: Authorization): Promise<Record<string, unknown>> {
  return askToken(demo, {
    grant_type: 'authorization_code',
    code: page.url.searchParams.get('code') ?? '',
    redirect_uri: redirectUri,
    code_verifier: codeVerifier,
  })
}

function refresh(demo: DemoProvider, token: unknown): Promise<Record<string, unknown>> {
  return askToken(demo, { grant_type: 'refresh_token', refresh_token: String(token) })
}

test('a browser signs in, and the code becomes tokens with a verifiable ID token', async () => {
  const demo = await start()
  const authorization = await authorize(demo, { nonce: 'n1' })
  expect(Object.fromEntries(authorization.page.url.searchParams)).toMatchObject({ state: 'xyz', iss: demo.issuer })

  const tokens = await exchange(demo, authorization)
  expect(tokens).toMatchObject({ token_type: 'Bearer', expires_in: 3600, refresh_token: expect.any(String) })
  const keys = createRemoteJWKSet(new URL(`${demo.issuer}/jwks`))
  const checks = { issuer: demo.issuer, audience: 'nexus' }
  const { payload } = await jwtVerify(String(tokens['id_token']), keys, checks)
  expect(payload).toMatchObject({ sub: 'ada', name: 'Ada', nonce: 'n1' })
  expect(demo.counts).toMatchObject({ tokenRequests: 1, codeExchanges: 1, refusals: 0 })
})

test('the metadata promises iss in responses, S256 and form_post', async () => {
  const demo = await start()
  const response = await fetch(`${demo.issuer}/.well-known/openid-configuration`)
  expect(await response.json()).toMatchObject({
    issuer: demo.issuer,
    authorization_response_iss_parameter_supported: true,
    code_challenge_methods_supported: ['S256'],
    response_modes_supported: expect.arrayContaining(['form_post']),
    revocation_endpoint: `${demo.issuer}/token/revocation`,
  })
})

test('the page says who asks for what, and a living session is asked again', async () => {
  const demo = await start()
  const browser = createBrowser({ person: undefined })
  const { page } = await authorize(demo, {}, browser)
  expect(page.body).toContain('<strong>Nexus</strong>')
  expect(page.body).toContain('See your name')
  const allow = { fields: { login: 'Zoë <b>' }, button: 'Allow', stopAt: (url: URL) => url.port === '9' }
  expect((await browser.submit(page, allow)).url.searchParams.get('code')).toEqual(expect.any(String))
  const again = await authorize(demo, {}, browser)
  expect(again.page.body).toContain('value="Zoë &#60;b&#62;"')
})

test('cancel returns access_denied', async () => {
  const demo = await start()
  const { page } = await authorize(demo, {}, createBrowser({ person: { name: 'Ada', decision: 'cancel' } }))
  expect(page.url.searchParams.get('error')).toBe('access_denied')
})

test('form_post ends in a POST to the redirect URI', async () => {
  const demo = await start()
  const { page } = await authorize(demo, { response_mode: 'form_post' })
  expect(page.unsent?.method).toBe('POST')
  expect(page.unsent?.form?.get('code')).toEqual(expect.any(String))
})

test('a used refresh token ends the grant', async () => {
  const demo = await start()
  const first = await exchange(demo, await authorize(demo))
  const second = await refresh(demo, first['refresh_token'])
  expect(second['refresh_token']).not.toBe(first['refresh_token'])
  expect(await refresh(demo, first['refresh_token'])).toMatchObject({ error: 'invalid_grant' })
  expect(await refresh(demo, second['refresh_token'])).toMatchObject({ error: 'invalid_grant' })
  expect(demo.counts).toMatchObject({ refreshes: 1, refusals: 2 })
})

test('knobs: no rotation, no refresh tokens, short lives', async () => {
  const constant = await start({ rotateRefreshTokens: false, accessTokenSeconds: 7 })
  const tokens = await exchange(constant, await authorize(constant))
  expect(tokens['expires_in']).toBe(7)
  expect(await refresh(constant, tokens['refresh_token'])).toMatchObject({ refresh_token: tokens['refresh_token'] })

  const without = await start({ issueRefreshTokens: false })
  expect(await exchange(without, await authorize(without))).not.toHaveProperty('refresh_token')
})

test('a revoked refresh token no longer works', async () => {
  const demo = await start()
  const { refresh_token: token } = await exchange(demo, await authorize(demo))
  const response = await fetch(`${demo.issuer}/token/revocation`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`nexus:${client.client_secret}`)}` },
    body: new URLSearchParams({ token: String(token) }),
  })
  expect(response.status).toBe(200)
  expect(await refresh(demo, token)).toMatchObject({ error: 'invalid_grant' })
  expect(demo.counts.revocations).toBe(1)
})

test('a client added later can sign in; one with faults is refused', async () => {
  const demo = await start()
  await demo.addClient({ client_id: 'late', client_secret: 'x'.repeat(40), redirect_uris: [redirectUri] })
  const { page } = await authorize(demo, { client_id: 'late' })
  expect(page.url.searchParams.has('code')).toBe(true)
  await expect(demo.addClient({ client_id: 'bad', redirect_uris: ['no url'] })).rejects.toThrow(
    'client bad: client_secret is mandatory',
  )
})

test('a restarted demo knows its keys, clients, people and refresh tokens', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'nexus-demo-'))
  onTestFinished(() => rmSync(stateDir, { recursive: true }))
  const before = await startDemoProvider({ clients: [client], stateDir })
  const tokens = await exchange(before, await authorize(before, {}, createBrowser({ person: { name: 'Zoë' } })))
  const keys: unknown = await (await fetch(`${before.issuer}/jwks`)).json()
  await before[Symbol.asyncDispose]()

  const after = await start({ clients: [], stateDir, port: before.port })
  expect(await (await fetch(`${after.issuer}/jwks`)).json()).toEqual(keys)
  const refreshed = await refresh(after, tokens['refresh_token'])
  const userinfo = await fetch(`${after.issuer}/me`, {
    headers: { authorization: `Bearer ${String(refreshed['access_token'])}` },
  })
  expect(await userinfo.json()).toMatchObject({ name: 'Zoë' })
  expect(statSync(join(stateDir, 'state.json')).mode & 0o777).toBe(0o600)
  await expect(startDemoProvider({ port: after.port })).rejects.toThrow(`port ${after.port} is taken`)
})
