import { answers } from '@nexus/testing'
import { expect, test } from 'vitest'
import { openOAuthScene } from '../../test/oauth-scene.ts'
import type { OAuthProvider } from '../providers/provider.ts'
import type { RevocationRequest } from './provider-client.ts'

const clientSecret = 'client secret: 100% +&=/ü'

async function openRevocationScene() {
  const scene = await openOAuthScene()
  const revoke = (provider: OAuthProvider, change: Partial<RevocationRequest> = {}) =>
    scene.client.revoke(provider, {
      clientSecret,
      token: 'token',
      tokenTypeHint: 'refresh_token',
      signal: AbortSignal.timeout(10_000),
      ...change,
    })
  return { ...scene, revoke }
}

test('a revocation names the token and its type, and the provider ends it', async () => {
  const { peer, profile, consent, refresh, revoke } = await openRevocationScene()
  const provider = profile()
  const { refreshToken = '' } = await consent(provider)
  expect(await revoke(provider, { token: refreshToken })).toEqual({ kind: 'done' })
  const [request] = peer.requestsTo('revocation')
  expect(Object.fromEntries(request?.form ?? [])).toMatchObject({
    token: refreshToken,
    token_type_hint: 'refresh_token',
  })
  expect(request?.form.has('grant_type')).toBe(false)
  expect(await refresh(provider, { refreshToken })).toMatchObject({ kind: 'grant_ended' })
  expect(peer.violations).toEqual([])
})

test.each(['client_secret_basic', 'client_secret_post', 'none'] as const)(
  'the client authenticates by %s, as at the token endpoint',
  async (authHeader) => {
    const { peer, profile, revoke } = await openRevocationScene()
    const isPublic = authHeader === 'none'
    const secret = isPublic ? {} : { clientSecret }
    peer.addClient({ clientId: 'nexus-client', ...secret, redirectUris: [], authMethods: [authHeader] })
    const sent = { clientSecret: isPublic ? undefined : clientSecret }
    expect(await revoke(profile({ authHeader }), sent)).toEqual({ kind: 'done' })
    expect(peer.violations).toEqual([])
  },
)

const canary = 'canary-of-the-provider'

test.each([
  ['200 without a body', answers.text(''), { kind: 'done' }],
  ['200 with a page', answers.text('<html>bye</html>', { contentType: 'text/html' }), { kind: 'done' }],
  ['unsupported_token_type', answers.oauthError('unsupported_token_type'), { kind: 'unsupported' }],
  ['an error', answers.oauthError('invalid_token'), { kind: 'refused', error: 'invalid_token' }],
  ['an error inside a 200', answers.oauthError('invalid_token', { status: 200 }), { kind: 'refused' }],
  ['an error as a form', answers.form({ error: 'invalid_request' }, { status: 400 }), { kind: 'refused' }],
  ['invalid_client', answers.oauthError('invalid_client', { status: 401 }), { reason: 'invalid_client' }],
  ['503', answers.serverError(503, 12), { reason: 'http_503', retryAfterSeconds: 12 }],
  ['503 with an error', answers.oauthError('invalid_token', { status: 503 }), { kind: 'transient' }],
  ['429', answers.tooManyRequests(30), { reason: 'slow_down', retryAfterSeconds: 30 }],
  ['408', answers.serverError(408), { reason: 'http_408' }],
  ['500', answers.serverError(500), { reason: 'http_500' }],
  ['404 of somebody in between', answers.text(canary, { status: 404 }), { reason: 'http_404' }],
  ['a redirect', answers.redirect(`https://${canary}.test/`), { reason: 'http_302' }],
  ['a broken connection', answers.cutConnection(), { reason: 'unavailable', retryAfterSeconds: undefined }],
  ['half an answer', answers.cutMidway(), { reason: 'unavailable' }],
  ['more than fits', answers.oversized(2_000_000), { reason: 'invalid_answer' }],
])('a revocation answered by %s is told apart, and sent once', async (_, answer, expected) => {
  const { peer, profile, revoke } = await openRevocationScene()
  peer.next('revocation', answer)
  const outcome = await revoke(profile())
  expect(outcome).toMatchObject({ kind: 'reason' in expected ? 'transient' : expected.kind, ...expected })
  expect(JSON.stringify(outcome)).not.toContain(canary)
  expect(peer.requestsTo('revocation')).toHaveLength(1)
})

test('[P5] what a provider says of its refusal is cut to its code', async () => {
  const { peer, profile, revoke } = await openRevocationScene()
  peer.next('revocation', answers.oauthError(`a"b\\${'x'.repeat(100)}`, { description: canary }))
  expect(await revoke(profile())).toEqual({ kind: 'refused', error: `ab${'x'.repeat(62)}` })
})

test('a provider that cannot revoke, or must not be asked, is not asked', async () => {
  const { peer, profile, staticProfile, revoke } = await openRevocationScene()
  expect(await revoke(profile({ revocation: 'none' }))).toEqual({ kind: 'unsupported' })
  expect(await revoke(staticProfile())).toEqual({ kind: 'unsupported' })
  peer.behave({ metadata: { revocation_endpoint: undefined } })
  expect(await revoke(profile())).toEqual({ kind: 'unsupported' })
  expect(peer.requestsTo('revocation')).toEqual([])
})

test('the profile’s revocation_url comes before the metadata, and does without them', async () => {
  const { peer, profile, staticProfile, revoke } = await openRevocationScene()
  peer.behave({ metadata: { revocation_endpoint: `${peer.issuer}/elsewhere` } })
  const revocationUrl = `${peer.issuer}/revoke`
  expect(await revoke(profile({ revocationUrl }))).toEqual({ kind: 'done' })
  expect(await revoke(staticProfile({ revocationUrl }))).toEqual({ kind: 'done' })
  expect(peer.requestsTo('revocation')).toHaveLength(2)
})

test.each(['discovery', 'revocation'] as const)('the caller’s deadline ends the waiting for %s', async (endpoint) => {
  const { peer, profile, revoke } = await openRevocationScene()
  peer.next(endpoint, answers.stall())
  const startedAt = performance.now()
  expect(await revoke(profile(), { signal: AbortSignal.timeout(300) })).toEqual({
    kind: 'transient',
    reason: 'unavailable',
    retryAfterSeconds: undefined,
  })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  const aborted = AbortSignal.abort()
  expect(await revoke(profile(), { signal: aborted })).toMatchObject({ kind: 'transient', reason: 'unavailable' })
})

test('metadata that cannot be had leave the token owed', async () => {
  const { peer, profile, revoke } = await openRevocationScene()
  peer.next('discovery', answers.serverError(503, 5))
  expect(await revoke(profile())).toEqual({ kind: 'transient', reason: 'http_503', retryAfterSeconds: 5 })
  expect(peer.requestsTo('revocation')).toEqual([])
})

test('[P4] a revocation endpoint at a forbidden address is not called', async () => {
  const { peer, profile, revoke } = await openRevocationScene()
  peer.behave({ metadata: { revocation_endpoint: 'http://169.254.169.254/revoke' } })
  expect(await revoke(profile())).toMatchObject({ kind: 'transient', reason: 'address' })
})
