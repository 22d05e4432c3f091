import { expect, test } from 'vitest'
import { findIssuerRule, findResponseIssuerFault, isExpectedIssuer } from './issuer-rule.ts'

const issuer = 'https://idp.test'
const template = 'https://login.test/{tenantid}/v2.0'
const tenant = '72f988bf-86f1-41af-91ab-2d7cd011db47'
const exact = { issuer, issuerTemplate: undefined, allowedTenants: [] }
const anyTenant = { issuer: 'https://login.test/common/v2.0', issuerTemplate: template, allowedTenants: [] }

test('[P1] an exact issuer is compared character by character', () => {
  const rule = { kind: 'exact', issuer } as const
  expect(isExpectedIssuer(rule, issuer, undefined)).toBe(true)
  for (const iss of [`${issuer}/`, 'https://IDP.test', 'http://idp.test', `${issuer}:443`, undefined, 7, [issuer]]) {
    expect(isExpectedIssuer(rule, iss, undefined), String(iss)).toBe(false)
  }
})

test('[P1] a template takes the tenant from the verified token, and nothing that bends the URL', () => {
  const rule = { kind: 'template', template, allowedTenants: [] } as const
  expect(isExpectedIssuer(rule, `https://login.test/${tenant}/v2.0`, tenant)).toBe(true)
  expect(isExpectedIssuer(rule, `https://login.test/${tenant}/v2.0`, 'another')).toBe(false)
  expect(isExpectedIssuer(rule, template, '{tenantid}')).toBe(false)
  for (const tid of ['', 'a/b', '../x', 'a?b', 7, undefined, 'x'.repeat(200)]) {
    expect(isExpectedIssuer(rule, `https://login.test/${String(tid)}/v2.0`, tid), String(tid)).toBe(false)
  }
})

test('[P1] a list of tenants closes the template to all others', () => {
  const rule = { kind: 'template', template, allowedTenants: [tenant.toUpperCase()] } as const
  expect(isExpectedIssuer(rule, `https://login.test/${tenant}/v2.0`, tenant)).toBe(true)
  expect(isExpectedIssuer(rule, 'https://login.test/other/v2.0', 'other')).toBe(false)
})

test('a template beats the issuer that it was discovered at', () => {
  expect(findIssuerRule(anyTenant)).toEqual({ kind: 'template', template, allowedTenants: [] })
  expect(findIssuerRule(exact)).toEqual({ kind: 'exact', issuer })
  expect(findIssuerRule({ ...exact, issuer: undefined })).toBeUndefined()
})

test('[H6] an authorization response names its issuer exactly, where it names one', () => {
  expect(findResponseIssuerFault(exact, { promisesIss: true }, issuer)).toBeUndefined()
  expect(findResponseIssuerFault(exact, { promisesIss: false }, undefined)).toBeUndefined()
  expect(findResponseIssuerFault(exact, { promisesIss: false }, `${issuer}/`)).toBe('mismatch')
  expect(findResponseIssuerFault(exact, { promisesIss: false }, '')).toBe('mismatch')
})

test('[H6] an issuer that is promised has to come', () => {
  expect(findResponseIssuerFault(exact, { promisesIss: true }, undefined)).toBe('missing')
})

test('[P3] without an issuer in the profile a response iss is ignored', () => {
  const none = { ...exact, issuer: undefined }
  expect(findResponseIssuerFault(none, { promisesIss: false }, 'https://anybody.test')).toBeUndefined()
})

test('[H6] with a template a response iss names one of its tenants', () => {
  const find = (iss: string, allowedTenants: readonly string[] = []) =>
    findResponseIssuerFault({ ...anyTenant, allowedTenants }, { promisesIss: false }, iss)
  expect(find(`https://login.test/${tenant}/v2.0`)).toBeUndefined()
  expect(find(`https://login.test/${tenant}/v2.0`, ['other'])).toBe('mismatch')
  for (const iss of [
    'https://login.test//v2.0',
    'https://login.test/v2.0',
    'https://evil.test/x/v2.0',
    'https://login.test/a/b/v2.0',
  ]) {
    expect(find(iss), iss).toBe('mismatch')
  }
})
