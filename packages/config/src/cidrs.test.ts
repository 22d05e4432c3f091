import { expect, test } from 'vitest'
import { parseCidrs } from './cidrs.ts'

test('takes blocks and single addresses of both families', () => {
  const cidrs = parseCidrs('10.0.0.0/8, ::1,2001:db8::/32 ,192.0.2.7')
  const inside = ['10.0.0.0', '10.255.255.255', '::1', '0:0:0:0:0:0:0:1', '2001:db8:1::5', '2001:DB8::5', '192.0.2.7']
  const outside = ['9.255.255.255', '11.0.0.0', '::2', '2001:db9::', '192.0.2.8']
  for (const address of inside) expect(cidrs.contains(address), address).toBe(true)
  for (const address of outside) expect(cidrs.contains(address), address).toBe(false)
})

test('counts every spelling of an IPv4-mapped address as IPv4', () => {
  const cidrs = parseCidrs('10.0.0.0/8')
  const mapped = ['::ffff:10.0.0.1', '::FFFF:10.0.0.1', '::ffff:a00:1', '0:0:0:0:0:ffff:0a00:0001', '0::ffff:10.0.0.1']
  for (const address of mapped) expect(cidrs.contains(address), address).toBe(true)
  expect(cidrs.contains('::ffff:11.0.0.1')).toBe(false)
  expect(cidrs.contains('::10.0.0.1'), 'IPv4-compatible, which is no mapped address').toBe(false)
})

test('keeps the families apart: all of IPv6 holds no IPv4 address, nor the reverse', () => {
  const [v4, v6] = [parseCidrs('0.0.0.0/0'), parseCidrs('::/0')]
  for (const address of ['8.8.8.8', '::ffff:8.8.8.8', '::ffff:808:808']) {
    expect([address, v4.contains(address), v6.contains(address)]).toEqual([address, true, false])
  }
  expect([v4.contains('2001:db8::1'), v6.contains('2001:db8::1')]).toEqual([false, true])
})

test('reads a block of mapped addresses as the IPv4 block', () => {
  const cidrs = parseCidrs('::ffff:10.0.0.0/104, ::ffff:192.0.2.1')
  for (const address of ['10.9.9.9', '::ffff:10.9.9.9', '192.0.2.1']) expect(cidrs.contains(address)).toBe(true)
  for (const address of ['11.0.0.0', '192.0.2.2']) expect(cidrs.contains(address)).toBe(false)
})

test('ignores the zone of a link-local address', () => {
  expect(parseCidrs('fe80::/10').contains('fe80::1%eth0')).toBe(true)
  expect(parseCidrs('fe80::/10').contains('fd00::1%eth0')).toBe(false)
})

test('holds nothing that is no address', () => {
  const everything = parseCidrs('0.0.0.0/0,::/0')
  const garbage = ['', ' ', 'localhost', '10.0.0.1 ', '10.0.0', '0x0a.0.0.1', '010.0.0.1', '167772161', '10.0.0.1/8']
  const odd = ['10.0.0.1%eth0', '[::1]', '::1%', ':::', '::ffff:010.0.0.1', '::ffff:1.2.3', '1.2.3.4\0', '１.2.3.4']
  for (const address of [...garbage, ...odd]) expect(everything.contains(address), JSON.stringify(address)).toBe(false)
})

test('an empty list holds nothing', () => {
  expect(parseCidrs(' , ').isEmpty).toBe(true)
  expect(parseCidrs('').contains('127.0.0.1')).toBe(false)
  expect(parseCidrs('::1').isEmpty).toBe(false)
})

test('refuses what is no block, by position and not by text', () => {
  const wrong = ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8.0', '::/129']
  const odd = ['example.com', '10.1', '010.0.0.0/8', 'fe80::1%eth0', '::ffff:0.0.0.0/95', '10.0.0.0/255.0.0.0', '/8']
  for (const item of [...wrong, ...odd]) {
    expect(() => parseCidrs(`::1, ${item}`), item).toThrow(/^item 2 is neither an IP address nor a CIDR block$/)
  }
})
