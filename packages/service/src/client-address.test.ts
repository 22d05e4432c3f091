import { parseCidrs } from '@nexus/config'
import { expect, test } from 'vitest'
import { clientAddress, normalizeAddress } from './client-address.ts'

const nobody = parseCidrs('')
const proxies = parseCidrs('10.0.0.0/8, fd00::/8')

test('[C3] without trusted proxies the socket decides, whatever is forwarded', () => {
  expect(clientAddress('192.0.2.7', '198.51.100.1', nobody)).toBe('192.0.2.7')
})

test('[C3] a peer that is no trusted proxy is the client itself', () => {
  expect(clientAddress('192.0.2.7', '198.51.100.1, 10.0.0.2', proxies)).toBe('192.0.2.7')
})

test.each([
  ['one proxy', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['two proxies', '10.0.0.1', '198.51.100.1, 10.0.0.2', '198.51.100.1'],
  ['an invented entry left of the client', '10.0.0.1', '127.0.0.1, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
  ['only proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['no header', '10.0.0.1', undefined, '10.0.0.1'],
  ['an empty header', '10.0.0.1', '', '10.0.0.1'],
  ['IPv6 hops', 'fd00::1', '2001:DB8:0:0::1, fd00::2', '2001:db8::1'],
  ['a mapped peer and a mapped hop', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  ['ports that a proxy wrote', '10.0.0.1', '[2001:db8::1]:4711, 10.0.0.2:80', '2001:db8::1'],
  ['blanks', '10.0.0.1', '  198.51.100.1 \t', '198.51.100.1'],
])('[C3] right to left through trusted proxies: %s', (_what, socket, forwarded, expected) => {
  expect(clientAddress(socket, forwarded, proxies)).toBe(expected)
})

test.each([
  ['a word', '198.51.100.1, unknown', '10.0.0.1'],
  ['an empty entry', '198.51.100.1, , 10.0.0.2', '10.0.0.2'],
  ['an odd spelling of an address', '198.51.100.1, 0x7f.1', '10.0.0.1'],
  ['a trailing comma', '198.51.100.1,', '10.0.0.1'],
  ['markup', '<script>, 10.0.0.2', '10.0.0.2'],
  ['a leading zero', '010.0.0.9', '10.0.0.1'],
])('[C3] garbage ends the walk at the last address that was believed: %s', (_what, forwarded, expected) => {
  expect(clientAddress('10.0.0.1', forwarded, proxies)).toBe(expected)
})

test('[C3] several headers count as one list', () => {
  expect(clientAddress('10.0.0.1', ['198.51.100.1', '10.0.0.2'], proxies)).toBe('198.51.100.1')
})

test('[C3] everybody trusted means the leftmost entry, and never more than an address', () => {
  const everybody = parseCidrs('0.0.0.0/0, ::/0')
  expect(clientAddress('10.0.0.1', '203.0.113.5, 198.51.100.1', everybody)).toBe('203.0.113.5')
})

test('a socket that is gone has no address', () => {
  expect(clientAddress(undefined, '198.51.100.1', proxies)).toBe('')
})

test.each([
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FE80::1%eth0', 'fe80::1'],
  ['192.0.2.1', '192.0.2.1'],
  ['localhost', undefined],
  ['', undefined],
  ['1.2.3', undefined],
])('%s has one spelling: %s', (text, expected) => {
  expect(normalizeAddress(text)).toBe(expected)
})
