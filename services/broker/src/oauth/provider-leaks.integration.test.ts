import { inspect } from 'node:util'
import { answers, captureLogs, type Step } from '@nexus/testing'
import pino from 'pino'
import { expect, test } from 'vitest'
import { clientSecret, openOAuthScene } from '../../test/oauth-scene.ts'

const canary = 'CANARY-2b7e1516'
const body = {
  error_description: canary,
  access_token: canary,
  refresh_token: canary,
  id_token: canary,
  [canary]: canary,
}

/** Everything an error could show, to a person at a console or to a log at its most talkative. */
function showError(error: unknown): string {
  const logs = captureLogs()
  const logger = pino({ level: 'trace' }, logs)
  logger.error({ err: error }, 'failed')
  logger.error({ error })
  logger.error(error)
  return [inspect(error, { depth: null, showHidden: true, getters: true }), JSON.stringify(error), logs.text()].join(
    '\n',
  )
}

const tokenAnswers: readonly (readonly [string, Step])[] = [
  ['an OAuth error', answers.json({ ...body, error: 'invalid_grant' }, { status: 400 })],
  ['an OAuth error with status 200', answers.json({ ...body, error: 'invalid_grant' })],
  [
    'an OAuth error as a form',
    answers.form({ error: 'invalid_grant', error_description: canary, refresh_token: canary }),
  ],
  ['an error object', answers.json({ ...body, error: { message: canary } })],
  [
    'a challenge',
    answers.json(
      { ...body, error: 'invalid_client' },
      { status: 401, headers: { 'www-authenticate': `Basic realm="${canary}"` } },
    ),
  ],
  ['a strange token_type', answers.json({ ...body, token_type: canary })],
  ['no token_type', answers.json(body)],
  ['a strange expires_in', answers.json({ ...body, token_type: 'bearer', expires_in: canary })],
  ['a token with a line break', answers.json({ access_token: `${canary}\n`, token_type: 'bearer' })],
  ['broken JSON', answers.text(`{"access_token":"${canary}"`, { contentType: 'application/json' })],
  ['a page', answers.text(`<html>${canary}</html>`, { contentType: 'text/html', status: 502 })],
  ['a redirect', answers.redirect(`https://evil.test/?${canary}`)],
  ['an endless answer', answers.text(canary.repeat(100_000))],
  ['a false encoding', answers.text(canary, { headers: { 'content-encoding': 'gzip' } })],
  [
    'an ID token that is none',
    answers.json({ access_token: 'a', token_type: 'bearer', id_token: `${canary}.${canary}.${canary}` }),
  ],
]

test.each(tokenAnswers)('[P5] what stands in %s reaches no error, no console and no log', async (_, answer) => {
  const { peer, profile, consent, refresh } = await openOAuthScene()
  peer.next('token', answer, answer)
  const error: unknown = await consent(profile()).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toMatchObject({ name: 'ProviderError' })
  expect(showError(error)).not.toContain(canary)

  const outcome = await refresh(profile(), { refreshToken: 'refresh-4f1c' })
  expect(showError(outcome)).not.toContain(canary)

  const sent = peer
    .requestsTo('token')
    .map(({ form }) => [form.get('code'), form.get('code_verifier'), form.get('refresh_token')])
  expect(sent).toHaveLength(2)
  const secrets = [clientSecret, ...sent.flat().filter((secret) => secret !== null)]
  expect(secrets).toHaveLength(4)
  const shown = showError([error, outcome])
  expect(secrets.filter((secret) => shown.includes(secret))).toEqual([])
})

test('[P5] what stands in an ID token that is refused is in no error', async () => {
  const { peer, profile, consent } = await openOAuthScene()
  const lies = [
    { iss: canary },
    { aud: canary },
    { azp: canary },
    { nonce: canary },
    { exp: canary },
    { sub: [canary] },
  ]
  for (const lie of lies) {
    peer.behave({ idToken: { claims: { ...lie, email: canary } } })
    const error: unknown = await consent(profile()).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ kind: 'id_token' })
    expect(showError(error)).not.toContain(canary)
    expect(peer.secrets().filter((secret) => showError(error).includes(secret))).toEqual([])
  }
})

test.each(['discovery', 'jwks'] as const)('[P5] what stands in an answer of %s is in no error', async (endpoint) => {
  const lies = [
    answers.text(`{"issuer":"${canary}"`, { contentType: 'application/json' }),
    answers.json({ issuer: canary, keys: canary }),
    answers.text(canary, { status: 500 }),
    answers.redirect(`https://evil.test/?${canary}`),
  ]
  for (const lie of lies) {
    const { peer, profile, consent } = await openOAuthScene()
    peer.always(endpoint, lie)
    const error: unknown = await consent(profile()).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'ProviderError' })
    expect(showError(error)).not.toContain(canary)
  }
})
