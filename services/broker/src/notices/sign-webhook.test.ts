import { Secret } from '@nexus/config'
import { expect, test } from 'vitest'
import { signWebhook } from './sign-webhook.ts'

// the test vector of the reference implementation (standard-webhooks/libraries/javascript, "sign function works")
const published = {
  secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  message: { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' },
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
}

const secretOf = (base64: string) => new Secret(Buffer.from(base64, 'base64'))

test('signs as Standard Webhooks does', () => {
  expect(signWebhook([secretOf(published.secret)], published.message)).toBe(published.signature)
})

test('every secret signs, in their order, and each signature is what that secret alone makes', () => {
  const other = secretOf('dGhlIG90aGVyIHNlY3JldCwgd2hpY2ggaXMgbG9uZyBlbm91Z2g=')
  const alone = signWebhook([other], published.message)
  expect(alone).not.toBe(published.signature)
  expect(signWebhook([other, secretOf(published.secret)], published.message)).toBe(`${alone} ${published.signature}`)
})

test.each([
  ['id', { id: 'msg_p5jXN8AQM9LWM0D4loKWxJel' }],
  ['timestamp', { timestamp: published.message.timestamp + 1 }],
  ['body', { body: '{"test": 2432232315}' }],
])('the %s is under the signature', (_, change) => {
  expect(signWebhook([secretOf(published.secret)], { ...published.message, ...change })).not.toBe(published.signature)
})
