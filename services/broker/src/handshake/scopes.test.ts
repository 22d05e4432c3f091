import { isAppError } from '@nexus/service'
import { expect, test } from 'vitest'
import { makeOAuthProvider } from '../../test/make-oauth-provider.ts'
import { decideScopes } from './scopes.ts'

const provider = makeOAuthProvider({ scopes: ['openid', 'read', 'write'] })

function refusalOf(work: () => unknown) {
  try {
    work()
  } catch (error) {
    return isAppError(error) ? { code: error.code, details: error.details } : error
  }
  return undefined
}

test('no scopes asked means those of the profile', () => {
  expect(decideScopes(provider, undefined)).toEqual(['openid', 'read', 'write'])
  expect(decideScopes(provider, [])).toEqual(['openid', 'read', 'write'])
})

test('a subset is taken as it is, each once', () => {
  expect(decideScopes(provider, ['write', 'read', 'write'])).toEqual(['write', 'read'])
})

test('while the profile enforces its list, a foreign scope is refused and named', () => {
  expect(refusalOf(() => decideScopes(provider, ['read', 'admin', 'Read']))).toEqual({
    code: 'scope_not_allowed',
    details: { field: 'scopes', scopes: ['admin', 'Read'] },
  })
  expect(decideScopes({ ...provider, enforceScopes: false }, ['admin'])).toEqual(['admin'])
})

test('a scope that contains the separator would be two, and is refused even where all are allowed', () => {
  const commas = { ...provider, enforceScopes: false, scopeSeparator: ',' }
  expect(refusalOf(() => decideScopes(commas, ['read,admin']))).toEqual({
    code: 'scope_not_allowed',
    details: { field: 'scopes', scopes: ['read,admin'] },
  })
})
