import { expect, test } from 'vitest'
import { createCookieJar } from './cookie-jar.ts'
import { createManualClock } from './clock.ts'

const https = new URL('https://nexus.test/auth/connect/x')
const http = new URL('http://127.0.0.1:8080/auth/connect/x')
const sameSite = { method: 'GET', isCrossSite: false }

function sent(setCookie: string, setBy: URL, to: URL, navigation = sameSite): string {
  const jar = createCookieJar()
  jar.store(setBy, [setCookie])
  return jar.header(to, navigation)
}

test('a __Host- cookie needs https, Secure, Path=/ and no Domain', () => {
  expect(sent('__Host-a=1; Secure; Path=/', https, https)).toBe('__Host-a=1')
  expect(sent('__Host-a=1; Path=/', https, https)).toBe('')
  expect(sent('__Host-a=1; Secure', https, https)).toBe('')
  expect(sent('__Host-a=1; Secure; Path=/; Domain=nexus.test', https, https)).toBe('')
  expect(sent('__Host-a=1; Secure; Path=/', http, http)).toBe('')
  expect(sent('__Secure-a=1; Path=/', https, https)).toBe('')
})

test('a Secure cookie neither comes from nor goes to plain http', () => {
  expect(sent('a=1; Secure; Path=/', http, http)).toBe('')
  expect(sent('a=1; Secure; Path=/', https, new URL('http://nexus.test/'))).toBe('')
})

test('plain http cannot overwrite a Secure cookie', () => {
  const jar = createCookieJar()
  jar.store(https, ['a=good; Secure; Path=/'])
  jar.store(new URL('http://nexus.test/'), ['a=evil; Path=/'])
  expect(jar.header(https, sameSite)).toBe('a=good')
})

test.each([
  ['/auth', '/auth', true],
  ['/auth', '/auth/callback', true],
  ['/auth/', '/auth/callback', true],
  ['/auth', '/authority', false],
  ['/auth/callback', '/auth', false],
  ['/', '/anything', true],
])('a cookie with Path=%s sent to %s: %s', (path, to, isSent) => {
  expect(sent(`a=1; Path=${path}`, https, new URL(to, https))).toBe(isSent ? 'a=1' : '')
})

test('without Path a cookie belongs to the folder that set it', () => {
  expect(sent('a=1', https, new URL('https://nexus.test/auth/connect/y'))).toBe('a=1')
  expect(sent('a=1', https, new URL('https://nexus.test/auth/callback'))).toBe('')
})

test('a cookie stays with its host, unless Domain spreads it to subdomains', () => {
  const sub = new URL('https://sub.nexus.test/')
  expect(sent('a=1; Path=/', https, sub)).toBe('')
  expect(sent('a=1; Path=/; Domain=.nexus.test', https, sub)).toBe('a=1')
  expect(sent('a=1; Path=/; Domain=nexus.test', https, new URL('https://evilnexus.test/'))).toBe('')
  expect(sent('a=1; Path=/; Domain=other.test', https, new URL('https://other.test/'))).toBe('')
})

test('ports do not separate cookies', () => {
  expect(sent('a=1; Path=/', http, new URL('http://127.0.0.1:9999/'))).toBe('a=1')
})

test('a Lax cookie crosses sites with a GET, not with a POST; Strict with neither, None with both', () => {
  const get = { method: 'GET', isCrossSite: true }
  const post = { method: 'POST', isCrossSite: true }
  const ways = (attributes: string): string[] => [get, post].map((way) => sent(`a=1; ${attributes}`, https, https, way))
  expect(ways('SameSite=Lax')).toEqual(['a=1', ''])
  expect(ways('Path=/')).toEqual(['a=1', ''])
  expect(ways('SameSite=Strict')).toEqual(['', ''])
  expect(ways('SameSite=None; Secure')).toEqual(['a=1', 'a=1'])
  expect(ways('SameSite=None')).toEqual(['', ''])
})

test.each([
  'Max-Age=0',
  'Max-Age=-1',
  'Expires=Thu, 01 Jan 1970 00:00:00 GMT',
  'Max-Age=0; Expires=Fri, 01 Jan 2999 00:00:00 GMT',
])('%s clears the cookie of the same name and path only', (attributes) => {
  const jar = createCookieJar()
  jar.store(https, ['a=1; Path=/', 'b=2; Path=/'])
  jar.store(https, [`a=; Path=/auth; ${attributes}`])
  expect(jar.header(https, sameSite)).toBe('a=1; b=2')
  jar.store(https, [`a=; Path=/; ${attributes}`])
  expect(jar.header(https, sameSite)).toBe('b=2')
})

test('a cookie dies when its Max-Age is over', () => {
  const clock = createManualClock()
  const jar = createCookieJar(clock.now)
  jar.store(https, ['a=1; Path=/; Max-Age=600'])
  clock.advance(599_000)
  expect(jar.header(https, sameSite)).toBe('a=1')
  clock.advance(1_000)
  expect(jar.header(https, sameSite)).toBe('')
  expect(jar.cookies()).toEqual([])
})

test('the cookie of the longer path comes first, and values keep their equals signs', () => {
  const jar = createCookieJar()
  jar.store(https, ['a=x=y; Path=/', 'a=2; Path=/auth'])
  expect(jar.header(https, sameSite)).toBe('a=2; a=x=y')
})
