import { expect, test } from 'vitest'
import { answers, type IdTokenForgery } from '@nexus/testing'
import { openOAuthScene } from '../../test/oauth-scene.ts'

const seconds = (): number => Math.floor(Date.now() / 1000)

const template = (issuer: string): string => issuer.replace('/common', '/{tenantid}')

test('[P1] a good ID token names the account', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: { claims: { email: 'ada@example.test', name: 'Ada' } } })
  const grant = await consent(profile())
  expect(grant.account).toEqual({ issuer: peer.issuer, subject: 'ada', label: 'ada@example.test' })
  expect(grant.idToken).toMatch(/^eyJ/)
})

const wrongTokens: readonly (readonly [string, IdTokenForgery, RegExp])[] = [
  ['is signed by another key under a known kid', { signature: 'other-key' }, /signature/],
  ['has one bit flipped', { signature: 'flipped-bit' }, /signature/],
  ['has alg none', { signature: 'none' }, /./],
  ['is HMACed with the public key', { signature: 'hmac-public-key' }, /alg/],
  ['is HMACed with the client secret', { signature: 'hmac-client-secret' }, /alg/],
  ['names an unknown key', { header: { kid: 'unknown' } }, /no key of the issuer/],
  ['has another issuer', { claims: { iss: 'https://evil.test' } }, /iss/],
  ['has no issuer', { claims: { iss: undefined } }, /iss/],
  ['has another audience', { claims: { aud: 'other' } }, /aud/],
  ['has no audience', { claims: { aud: undefined } }, /aud/],
  ['has an empty list of audiences', { claims: { aud: [] } }, /aud/],
  ['has several audiences and no azp', { claims: { aud: ['nexus-client', 'other'] } }, /azp/],
  ['has several audiences and a foreign azp', { claims: { aud: ['nexus-client', 'other'], azp: 'other' } }, /azp/],
  ['has one audience and a foreign azp', { claims: { azp: 'other' } }, /azp/],
  ['has an azp that is no text', { claims: { azp: ['nexus-client'] } }, /azp/],
  ['is expired', { claims: { exp: seconds() - 1 } }, /expired/],
  ['has no expiry', { claims: { exp: undefined } }, /exp/],
  ['has an expiry that is text', { claims: { exp: String(seconds() + 3600) } }, /exp/],
  ['was issued in two minutes', { claims: { iat: seconds() + 120 } }, /iat/],
  ['has no iat', { claims: { iat: undefined } }, /iat/],
  ['is not valid before tomorrow', { claims: { nbf: seconds() + 86_400 } }, /nbf/],
  ['has another nonce', { claims: { nonce: 'n'.repeat(43) } }, /nonce/],
  ['has no nonce', { claims: { nonce: undefined } }, /nonce/],
  ['has a nonce that is no text', { claims: { nonce: 7 } }, /nonce/],
  ['has no sub', { claims: { sub: undefined } }, /sub/],
  ['has an empty sub', { claims: { sub: '' } }, /sub/],
  ['has a sub that is no text', { claims: { sub: 7 } }, /sub/],
  ['has a NUL in its sub', { claims: { sub: 'a\u0000' } }, /sub/],
  ['has an endless sub', { claims: { sub: 'x'.repeat(256) } }, /sub/],
  ['is too large', { claims: { padding: 'x'.repeat(20_000) } }, /too large/],
  ['is no JWT', { raw: 'x.y.z' }, /./],
  ['is a JWE in form', { raw: 'a.b.c.d.e' }, /./],
]

test.each(wrongTokens)('[P1] an ID token that %s is refused', async (_, forgery, reason) => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: forgery })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'id_token', message: expect.stringMatching(reason) })
})

test('[P1] an issuer that lacks a slash is another issuer', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: { claims: { iss: `${peer.issuer}/` } } })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'id_token', message: /iss/ })
})

test('[P1] an ID token that was asked for must come', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ token: { idToken: 'never' } })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'id_token', message: /no ID token came/ })
  await expect(consent(profile({ scopes: ['read'] }))).resolves.toMatchObject({
    idToken: undefined,
    account: undefined,
  })
})

test.each(['RS256', 'PS256', 'EdDSA'])(
  '[P1] %s is accepted where it is registered, and only there',
  async (signingAlg) => {
    const { profile, consent } = await openOAuthScene({ signingAlg })
    await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
    const other = profile({ idTokenSignedResponseAlg: 'RS512' })
    await expect(consent(other)).rejects.toMatchObject({ kind: 'id_token', message: /alg/ })
  },
)

test('[P1] a registration of HMAC or none verifies nothing', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  for (const [alg, signature] of [['HS256', 'hmac-public-key'] as const, ['none', 'none'] as const]) {
    peer.behave({ idToken: { signature } })
    await expect(consent(profile({ idTokenSignedResponseAlg: alg }))).rejects.toMatchObject({
      kind: 'id_token',
      message: /not asymmetric/,
    })
  }
})

test('[P1] several audiences are fine when azp is us', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: { claims: { aud: ['nexus-client', 'other'], azp: 'nexus-client' } } })
  await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
})

test('[P1] iat may be up to a minute ahead', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: { claims: { iat: seconds() + 55 } } })
  await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
})

test.each([-600_000, 600_000])(
  '[R9] a host clock that is %i ms off fails no handshake: the database corrects it',
  async (off) => {
    const now = (): number => Date.now() + off
    const corrected = await openOAuthScene({ client: { now, clockOffsetMs: () => -off } })
    corrected.peer.behave({ idToken: { claims: { exp: seconds() + 300 } } })
    await expect(corrected.consent(corrected.profile())).resolves.toMatchObject({ account: { subject: 'ada' } })

    const uncorrected = await openOAuthScene({ client: { now } })
    uncorrected.peer.behave({ idToken: { claims: { exp: seconds() + 300 } } })
    await expect(uncorrected.consent(uncorrected.profile())).rejects.toMatchObject({ kind: 'id_token' })
  },
)

test('[P1] a template issuer takes the tenant from the verified token', async () => {
  const { peer, profile, consent } = await openOAuthScene({ issuerPath: '/common' })
  const issuerTemplate = template(peer.issuer)
  const tenantIssuer = peer.issuer.replace('/common', '/tenant-1')
  peer.behave({ metadata: { issuer: issuerTemplate }, idToken: { claims: { iss: tenantIssuer, tid: 'tenant-1' } } })
  await expect(consent(profile({ issuerTemplate }))).resolves.toMatchObject({ account: { issuer: tenantIssuer } })
  await expect(consent(profile({ issuerTemplate, allowedTenants: ['tenant-1'] }))).resolves.toBeDefined()
  await expect(consent(profile({ issuerTemplate, allowedTenants: ['other'] }))).rejects.toMatchObject({
    kind: 'id_token',
  })

  peer.behave({ metadata: { issuer: issuerTemplate }, idToken: { claims: { iss: tenantIssuer, tid: 'tenant-2' } } })
  await expect(consent(profile({ issuerTemplate }))).rejects.toMatchObject({ kind: 'id_token', message: /iss/ })
})

test('[P1] static endpoints with an issuer and keys verify just the same', async () => {
  const { peer, staticProfile, consent } = await openOAuthScene()
  const known = staticProfile({ issuer: peer.issuer, jwksUri: `${peer.issuer}/jwks`, scopes: ['openid'] })
  await expect(consent(known)).resolves.toMatchObject({ account: { issuer: peer.issuer, subject: 'ada' } })
  peer.behave({ idToken: { signature: 'other-key' } })
  await expect(consent(known)).rejects.toMatchObject({ kind: 'id_token' })
  expect(peer.requestsTo('discovery')).toEqual([])
})

test('[P1] an ID token that nobody asked for and nobody can verify is ignored', async () => {
  const { peer, staticProfile, consent } = await openOAuthScene()
  peer.behave({ token: { idToken: 'always' }, idToken: { signature: 'none' } })
  await expect(consent(staticProfile())).resolves.toMatchObject({ idToken: undefined, account: undefined })
})

test('[P1] one that nobody asked for is verified where it can be', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ token: { idToken: 'always' }, idToken: { signature: 'other-key' } })
  await expect(consent(profile({ scopes: ['read'] }))).rejects.toMatchObject({ kind: 'id_token' })
  peer.behave({ idToken: { claims: { nonce: 'of another request' } } })
  await expect(consent(profile({ scopes: ['read'] }))).rejects.toMatchObject({ kind: 'id_token', message: /nonce/ })
  peer.behave({ idToken: {} })
  await expect(consent(profile({ scopes: ['read'] }))).resolves.toMatchObject({ account: { subject: 'ada' } })
})

test.each([
  ['the address first', { email: 'a@x.test', preferred_username: 'ada', name: 'Ada' }, 'a@x.test'],
  ['then the user name', { email: 7, preferred_username: 'ada', name: 'Ada' }, 'ada'],
  ['no control or direction signs', { email: '\u0000 \u202e', name: 'Ada\u0000 Love\nlace\u202e' }, 'Ada Lovelace'],
  ['200 characters at most', { name: '👩'.repeat(300) }, '👩'.repeat(200)],
  ['none at all', {}, undefined],
])('the label of the account: %s', async (_, claims, label) => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.behave({ idToken: { claims } })
  expect((await consent(profile())).account?.label).toBe(label)
})

test('[P2] a new key is found by fetching again, and a token signed before still verifies', async () => {
  const { peer, profile, consent } = await openOAuthScene({ client: { keyCooldownMs: 0 } })
  await consent(profile())
  await peer.rotateKeys()
  await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
  expect(peer.requestsTo('jwks')).toHaveLength(2)
})

test('[P2] keys that moved are found by reading the metadata again', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  await consent(profile())
  await peer.rotateKeys({ keepOld: false })
  peer.behave({ metadata: { jwks_uri: `${peer.issuer}/jwks?moved` } })
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'id_token' })
  await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
})

test('[P2] keys are fetched once, and again for an unknown key id at most once per cooldown', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  for (let i = 0; i < 3; i++) await consent(profile())
  expect(peer.requestsTo('jwks')).toHaveLength(1)
  peer.behave({ idToken: { header: { kid: 'unknown' } } })
  for (let i = 0; i < 3; i++) await expect(consent(profile())).rejects.toMatchObject({ kind: 'id_token' })
  expect(peer.requestsTo('jwks')).toHaveLength(1)
})

test('[P2] keys that cannot be had are unavailable, not cached, and not the fault of the token', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  const endings = [answers.serverError(), answers.junk(), answers.json({ keys: 'none' }), answers.cutConnection()]
  peer.next('jwks', ...endings)
  for (const _ of endings) await expect(consent(profile())).rejects.toMatchObject({ kind: 'unavailable' })
  await expect(consent(profile())).resolves.toMatchObject({ account: { subject: 'ada' } })
})

test('[P2] keys behind a redirect are not followed', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  peer.next('jwks', answers.redirect(`${peer.issuer}/jwks`))
  await expect(consent(profile())).rejects.toMatchObject({ kind: 'invalid_answer', status: 302 })
})
