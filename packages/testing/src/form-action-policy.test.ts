import { expect, test } from 'vitest'
import { formActionAllows } from './form-action-policy.ts'

const page = new URL('https://nexus.test/auth/connect/x')

test.each([
  [null, 'https://idp.test/', true],
  ["default-src 'none'", 'https://idp.test/', true],
  ["default-src 'none'; form-action 'self'", 'https://nexus.test/other', true],
  ["form-action 'self'", 'https://idp.test/', false],
  ["form-action 'none'", 'https://nexus.test/', false],
  ['form-action', 'https://nexus.test/', false],
  ["form-action 'self' https:", 'https://idp.test/', true],
  ["form-action 'self' https:", 'http://127.0.0.1:5000/', false],
  ['form-action http://127.0.0.1:*', 'http://127.0.0.1:5000/', true],
  ['form-action http://127.0.0.1', 'http://127.0.0.1:5000/', false],
  ['form-action https://*.idp.test', 'https://a.idp.test/', true],
  ['form-action https://*.idp.test', 'https://evilidp.test/', false],
  ['form-action https://idp.test', 'http://idp.test/', false],
])('%s lets a form end at %s: %s', (policy, target, expected) => {
  expect(formActionAllows(policy, page, new URL(target))).toBe(expected)
})
