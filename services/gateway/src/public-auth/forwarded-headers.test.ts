import { expect, test } from 'vitest'
import { pickAnswerHeaders, pickRequestHeaders } from './forwarded-headers.ts'

test.each([
  ['__Host-nx-00ff=a', '__Host-nx-00ff=a'],
  ['a=b; nx-1=c;nx-2="d e"; f=g', 'nx-1=c; nx-2="d e"'],
  ['a="; nx-1=x; "', 'nx-1=x'],
  ['NX-1=a; __host-nx-1=b; __Secure-nx-1=c; nx=d; nx-1', undefined],
  // no browser takes these for `__Host-` cookies: taken for such here, they would be anybody's to set
  ['\u00a0__Host-nx-1=a; \ufeffnx-2=b; __Host-nx-3=c', '__Host-nx-3=c'],
  ['', undefined],
])('of the cookies %j the Broker gets %j', (cookie, expected) => {
  expect(pickRequestHeaders({ cookie })['cookie']).toBe(expected)
})

test('a browser without cookies sends none', () => {
  expect(pickRequestHeaders({ accept: 'text/html' })).toEqual({ accept: 'text/html' })
})

test('headers of one hop end there, those that Connection names among them', () => {
  const picked = pickAnswerHeaders({
    connection: ['close, X-Mine', 'x-other'],
    'x-mine': '1',
    'x-other': '1',
    'transfer-encoding': 'chunked',
    'keep-alive': 'timeout=5',
    'x-nexus-identity': '1',
    'set-cookie': ['nx-a=1', 'nx-b=2'],
    location: '/',
    gone: undefined,
  })

  expect(picked).toEqual({ 'set-cookie': ['nx-a=1', 'nx-b=2'], location: '/' })
})
