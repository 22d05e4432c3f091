import { expect, test } from 'vitest'
import { buildReturnUrl, defaultReturnDomains, isReturnUrlAllowed, parseReturnDomain } from './return-url.ts'

const allowed = ['app.example.com', 'odd.example.com:8443', '*.tenants.example.com'].map((entry) =>
  parseReturnDomain(entry)!,
)

test.each([
  'https://app.example.com/done',
  'https://app.example.com:443/done',
  'https://APP.example.com/done?next=%2Fhome#there',
  'https://odd.example.com:8443/',
  'https://a.tenants.example.com/',
  'https://a.b.tenants.example.com/',
])('[H10] %s is allowed', (url) => {
  expect(isReturnUrlAllowed(url, allowed)).toBe(true)
})

test.each([
  ['another host', 'https://evil.example/'],
  ['http', 'http://app.example.com/'],
  ['another port', 'https://app.example.com:8443/'],
  ['the default port where another is listed', 'https://odd.example.com/'],
  ['userinfo', 'https://app.example.com@evil.example/'],
  ['userinfo of the right host', 'https://user:pass@app.example.com/'],
  ['empty userinfo', 'https://@app.example.com/'],
  ['a backslash', 'https://evil.example\\@app.example.com/'],
  ['a backslash as path', 'https://app.example.com\\.evil.example/'],
  ['a tab', 'https://app.exa\tmple.com/'],
  ['a newline', 'https://app.example.com/\n'],
  ['a control character', 'https://app.example.com/\u0000'],
  ['a leading space', ' https://app.example.com/'],
  ['no slashes', 'https:app.example.com'],
  ['three slashes', 'https:///app.example.com/'],
  ['a scheme of its own', 'javascript:alert(1)//app.example.com'],
  ['a suffix', 'https://app.example.com.evil.example/'],
  ['a prefix', 'https://evilapp.example.com/'],
  ['the wildcard itself', 'https://tenants.example.com/'],
  ['a wildcard look-alike', 'https://eviltenants.example.com/'],
  ['a trailing dot', 'https://app.example.com./'],
  ['loopback where it is not listed', 'http://127.0.0.1/'],
  ['a data URL', 'data:text/html,x'],
  ['a relative one', '/done'],
])('[H10] %s is refused', (_, url) => {
  expect(isReturnUrlAllowed(url, allowed)).toBe(false)
})

test('[H10] by default the own origin and loopback are allowed, nothing else', () => {
  const domains = defaultReturnDomains('https://nexus.example.com')
  expect(isReturnUrlAllowed('https://nexus.example.com/done', domains)).toBe(true)
  expect(isReturnUrlAllowed('http://localhost:3000/done', domains)).toBe(true)
  expect(isReturnUrlAllowed('http://[::1]:3000/done', domains)).toBe(true)
  expect(isReturnUrlAllowed('http://2130706433/', domains)).toBe(true) // the parser knows it as 127.0.0.1
  expect(isReturnUrlAllowed('http://127.0.0.1.evil.example/', domains)).toBe(false)
  expect(isReturnUrlAllowed('https://example.com/', domains)).toBe(false)
})

test.each([
  '*',
  '*.com',
  '*.*.example.com',
  'https://app.example.com',
  'app.example.com/path',
  'a b',
  '',
  '-a.example',
  'a@b.example',
])('the entry %j is refused', (entry) => {
  expect(parseReturnDomain(entry)).toBeUndefined()
})

test('[H10] our parameters join the URL’s own query and replace forged ones', () => {
  const url = buildReturnUrl('https://app.example.com/done?next=%2Fhome&status=error&error=x#part', {
    status: 'success',
    connection_id: 'c1',
    provider: 'demo',
  })
  expect(url).toBe('https://app.example.com/done?next=%2Fhome&status=success&connection_id=c1&provider=demo#part')
})
