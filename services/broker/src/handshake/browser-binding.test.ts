import { sha256 } from '@nexus/crypto'
import { expect, test } from 'vitest'
import { bindingCookieName, carriesBinding, clearBindingCookie, setBindingCookie } from './browser-binding.ts'

const cookieName = '__Host-nx-0123456789abcdef'
const cookieHash = sha256('value')

test('[H4] the name follows from the jti, and tells nothing of it', () => {
  const name = bindingCookieName(sha256('a-jti'), true)
  expect(name).toBe(`__Host-nx-${sha256('a-jti').toString('hex').slice(0, 16)}`)
  expect(bindingCookieName(sha256('a-jti'), false)).toBe(name.replace('__Host-', ''))
  expect(bindingCookieName(sha256('another'), true)).not.toBe(name)
})

test('[H4] what sets and what clears it agree on all that makes it the same cookie', () => {
  const set = setBindingCookie({ cookieName, cookieValue: 'value' }, true, 600)
  expect(set).toBe(`${cookieName}=value; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure`)
  expect(clearBindingCookie(cookieName, true)).toBe(set.replace('=value', '=').replace('600', '0'))
  expect(setBindingCookie({ cookieName: 'nx-1', cookieValue: 'value' }, false, 600)).not.toContain('Secure')
})

test.each([
  ['alone', `${cookieName}=value`],
  ['among others', `a=b; ${cookieName}=value; c="d e"`],
  ['without the usual space', `a=b;${cookieName}=value;c=d`],
])('[H4] the cookie is found %s', (_, header) => {
  expect(carriesBinding(header, cookieName, cookieHash)).toBe(true)
})

test.each([
  ['no header', undefined],
  ['an empty header', ''],
  ['another value', `${cookieName}=valuf`],
  ['an empty value', `${cookieName}=`],
  ['the name alone', cookieName],
  ['the value with more behind it', `${cookieName}=value=`],
  ['quotes', `${cookieName}="value"`],
  ['another case of the name', `${cookieName.toLowerCase()}=value`],
  ['the name inside another', `x${cookieName}=value`],
  ['the name inside a value', `a=${cookieName}=value`],
  ['the cookie twice', `${cookieName}=value; ${cookieName}=value`],
  ['a second value before it', `${cookieName}=x; ${cookieName}=value`],
  ['a second value behind it', `${cookieName}=value; ${cookieName}=`],
  // no browser takes these for a `__Host-` cookie, so a neighbouring subdomain may set them for all of its domain
  ['the name behind a no-break space', `\u00a0${cookieName}=value`],
  ['the name behind another blank of Unicode', `\u2003${cookieName}=value`],
  ['the value before a no-break space', `${cookieName}=value\u00a0`],
])('[H4] %s is not the cookie', (_, header) => {
  expect(carriesBinding(header, cookieName, cookieHash)).toBe(false)
})
