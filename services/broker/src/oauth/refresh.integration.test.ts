import { answers } from '@nexus/testing'
import { expect, test } from 'vitest'
import { openOAuthScene } from '../../test/oauth-scene.ts'

async function openConnectedScene() {
  const scene = await openOAuthScene()
  const provider = scene.profile()
  const { refreshToken = '', account } = await scene.consent(provider)
  return { ...scene, provider, refreshToken, account }
}

test('a refresh presents the token once and brings a new set', async () => {
  const { peer, provider, refresh, refreshToken, account } = await openConnectedScene()
  const outcome = await refresh(provider, { refreshToken, account })
  expect(outcome).toMatchObject({
    kind: 'refreshed',
    grant: { tokenType: 'Bearer', expiresInSeconds: 3600, scopes: ['openid', 'read'], account },
  })
  expect(outcome.kind === 'refreshed' && outcome.grant.refreshToken).not.toBe(refreshToken)
  expect(peer.counts()).toMatchObject({ refreshRequests: 1, reuseDetections: 0 })
  expect(peer.violations).toEqual([])
})

test('an omitted refresh token stays undefined: the stored one is kept (RFC 6749 §6)', async () => {
  const { peer, provider, refresh, refreshToken } = await openConnectedScene()
  peer.behave({ token: { refreshTokens: 'omit-on-refresh' } })
  expect(await refresh(provider, { refreshToken })).toMatchObject({
    kind: 'refreshed',
    grant: { refreshToken: undefined },
  })
})

test('a refresh sends the parameters of the profile, and none that override ours', async () => {
  const { peer, profile, refresh, refreshToken } = await openConnectedScene()
  const refreshParams = { audience: 'api', refresh_token: 'forged', scope: 'forged' }
  expect(await refresh(profile({ params: { refreshParams } }), { refreshToken })).toMatchObject({ kind: 'refreshed' })
  const form = peer.requestsTo('token').at(-1)?.form
  expect([...(form?.keys() ?? [])].toSorted()).toEqual([
    'audience',
    'client_id',
    'client_secret',
    'grant_type',
    'refresh_token',
  ])
})

test.each([
  ['invalid_grant', answers.oauthError('invalid_grant'), { kind: 'grant_ended', error: 'invalid_grant' }],
  [
    'invalid_grant with status 200',
    answers.oauthError('invalid_grant', { status: 200 }),
    { kind: 'grant_ended', error: 'invalid_grant' },
  ],
  [
    'a fatal code of the profile',
    answers.form({ error: 'bad_refresh_token' }),
    { kind: 'grant_ended', error: 'bad_refresh_token' },
  ],
  [
    'invalid_client with a challenge',
    answers.oauthError('invalid_client', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }),
    { kind: 'client_refused', error: 'invalid_client' },
  ],
  [
    'unauthorized_client',
    answers.oauthError('unauthorized_client'),
    { kind: 'client_refused', error: 'unauthorized_client' },
  ],
  ['invalid_scope', answers.oauthError('invalid_scope'), { kind: 'transient', reason: 'invalid_scope' }],
  ['429', answers.tooManyRequests(30), { kind: 'transient', reason: 'slow_down', retryAfterSeconds: 30 }],
  ['408', answers.serverError(408), { kind: 'transient', reason: 'http_408' }],
  ['503', answers.serverError(503, 12), { kind: 'transient', reason: 'http_503', retryAfterSeconds: 12 }],
  ['invalid_grant with status 500', answers.oauthError('invalid_grant', { status: 500 }), { kind: 'transient' }],
  ['403 without a code', answers.text('no', { status: 403 }), { kind: 'transient', reason: 'http_403' }],
  ['a redirect', answers.redirect('https://idp.test/'), { kind: 'transient', reason: 'http_302' }],
  ['a malformed answer', answers.json({ access_token: 'a' }), { kind: 'transient', reason: 'invalid_answer' }],
  ['junk', answers.junk(), { kind: 'transient', reason: 'invalid_answer' }],
  ['a broken connection', answers.cutConnection(), { kind: 'transient', reason: 'unavailable' }],
])('a refresh answered by %s is told apart, and never repeated', async (_, answer, expected) => {
  const { peer, profile, refresh, refreshToken } = await openConnectedScene()
  peer.next('token', answer)
  expect(await refresh(profile({ fatalRefreshErrors: ['bad_refresh_token'] }), { refreshToken })).toMatchObject(
    expected,
  )
  expect(peer.requestsTo('token')).toHaveLength(2)
})

test('a refresh that is never answered is given up', async () => {
  const { peer, profile, refresh } = await openOAuthScene({ totalMs: 500 })
  peer.next('token', answers.stall())
  expect(await refresh(profile())).toMatchObject({ kind: 'transient', reason: 'unavailable' })
})

test('Retry-After as a date counts from the Date of the answer', async () => {
  const { peer, provider, refresh, refreshToken } = await openConnectedScene()
  const headers = { date: 'Sun, 22 Nov 2026 10:00:00 GMT', 'retry-after': 'Sun, 22 Nov 2026 10:00:45 GMT' }
  peer.next('token', answers.json({}, { status: 503, headers }))
  expect(await refresh(provider, { refreshToken })).toMatchObject({ kind: 'transient', retryAfterSeconds: 45 })
})

test('metadata that cannot be had are a passing trouble, and the token is not presented', async () => {
  const { peer, profile, refresh } = await openOAuthScene()
  peer.next('discovery', answers.serverError(503, 5))
  expect(await refresh(profile())).toMatchObject({
    kind: 'transient',
    reason: 'http_503',
    retryAfterSeconds: 5,
    isOutcomeUnknown: false,
  })
  expect(peer.requestsTo('token')).toEqual([])
})

test('[P1] a refreshed ID token needs no nonce', async () => {
  const { peer, provider, refresh, refreshToken, account } = await openConnectedScene()
  peer.behave({ idToken: { claims: { nonce: 'of the handshake' } } })
  expect(await refresh(provider, { refreshToken, account })).toMatchObject({ kind: 'refreshed', grant: { account } })
})

test.each([
  ['subject', { sub: 'eve' }],
  ['issuer in a template', { iss: 'http://127.0.0.1/other', tid: 'other' }],
])('[P1] a refreshed ID token of another %s ends the grant: these tokens are a stranger’s', async (_, claims) => {
  const { peer, profile, refresh, refreshToken, account } = await openConnectedScene()
  peer.behave({ idToken: { claims } })
  const issuerTemplate = 'tid' in claims ? 'http://127.0.0.1/{tenantid}' : undefined
  const provider = profile({ issuerTemplate })
  expect(await refresh(provider, { refreshToken, account })).toEqual({ kind: 'grant_ended', error: 'account_mismatch' })
})

test('[P1] an ID token that does not verify is dropped, and the tokens that came with it are kept', async () => {
  const { peer, provider, refresh, refreshToken, account } = await openConnectedScene()
  peer.behave({ idToken: { signature: 'other-key' }, token: { onReuse: 'revoke-family' } })
  const outcome = await refresh(provider, { refreshToken, account })
  expect(outcome).toMatchObject({ kind: 'refreshed', grant: { idToken: undefined, account: undefined } })
  // had they been thrown away, the next refresh would present a token that is spent
  const next = outcome.kind === 'refreshed' ? (outcome.grant.refreshToken ?? '') : ''
  expect(await refresh(provider, { refreshToken: next, account })).toMatchObject({ kind: 'refreshed' })
  expect(peer.counts().supersededPresentations).toBe(0)
})

test('[P1] without the issuer’s keys a refresh keeps its tokens, checks the account and keeps no ID token', async () => {
  const { peer, profile, consent, refresh } = await openOAuthScene()
  const provider = profile({ scopes: ['read'] })
  const { refreshToken = '' } = await consent(provider)
  peer.behave({ token: { idToken: 'always', refreshTokens: 'constant' } })
  peer.always('jwks', answers.serverError())
  const account = { issuer: peer.issuer, subject: 'ada' }
  expect(await refresh(provider, { refreshToken, account })).toMatchObject({
    kind: 'refreshed',
    grant: { refreshToken, idToken: undefined, account },
  })
  peer.behave({ idToken: { claims: { sub: 'eve' } } })
  expect(await refresh(provider, { refreshToken, account })).toEqual({ kind: 'grant_ended', error: 'account_mismatch' })
  peer.behave({ idToken: { claims: { aud: 'other' } } })
  expect(await refresh(provider, { refreshToken, account })).toMatchObject({
    kind: 'refreshed',
    grant: { refreshToken, idToken: undefined, account: undefined },
  })
})
