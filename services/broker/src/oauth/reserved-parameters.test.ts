import { expect, test } from 'vitest'
import { isReservedParameter, pickFreeParameters } from './reserved-parameters.ts'

test('knows what the protocol keeps for itself, in any case', () => {
  const reserved = [
    'client_id',
    'client_secret',
    'client_assertion',
    'client_assertion_type',
    'redirect_uri',
    'response_type',
  ]
  const more = ['scope', 'state', 'nonce', 'code', 'code_challenge', 'code_verifier', 'grant_type', 'refresh_token']
  for (const name of [...reserved, ...more, 'request', 'request_uri', 'dpop_jkt', 'State', 'CLIENT_ID']) {
    expect(isReservedParameter(name), name).toBe(true)
  }
  for (const name of ['prompt', 'access_type', 'audience', 'resource', 'login_hint', 'response_mode', 'duration']) {
    expect(isReservedParameter(name), name).toBe(false)
  }
})

test('leaves a profile its own parameters', () => {
  expect(pickFreeParameters({ prompt: 'consent', state: 'mine', code_challenge_method: 'plain' })).toEqual({
    prompt: 'consent',
  })
})
