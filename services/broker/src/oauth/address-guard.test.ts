import { parseCidrs } from '@nexus/config'
import { expect, test } from 'vitest'
import { createAddressGuard, type PrivateNetworks } from './address-guard.ts'

const guardWith = (allowPrivateNetworks: PrivateNetworks, names: Readonly<Record<string, readonly string[]>> = {}) =>
  createAddressGuard({
    allowPrivateNetworks,
    resolve: async (hostname) => {
      const addresses = names[hostname]
      if (addresses === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
      return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    },
  })

const publicAddresses = [
  '8.8.8.8',
  '140.82.121.4',
  '172.15.0.1',
  '172.32.0.1',
  '2606:4700::1111',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
]
const privateAddresses = [
  '127.0.0.1',
  '127.9.9.9',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '::1',
  'fd12::1',
]
const reservedAddresses = [
  ['this network', '0.0.0.0'],
  ['cloud metadata', '169.254.169.254'],
  ['cloud metadata of Alibaba, inside 100.64/10', '100.100.100.200'],
  ['cloud metadata of Azure, a public address', '168.63.129.16'],
  ['cloud metadata of AWS, inside fc00::/7', 'fd00:ec2::254'],
  ['IETF protocols', '192.0.0.192'],
  ['documentation', '203.0.113.7'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['unspecified', '::'],
  ['link-local', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%eth0'],
  ['site-local', 'fec0::1'],
  ['multicast', 'ff02::1'],
  ['IPv4-compatible loopback', '::127.0.0.1'],
  ['IPv4-translated loopback', '::ffff:0:127.0.0.1'],
  ['NAT64 for local use', '64:ff9b:1::7f00:1'],
  ['6to4 of a public address', '2002:808:808::1'],
  ['6to4 of loopback', '2002:7f00:1::1'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  ['documentation', '2001:db8::1'],
  ['unassigned', '4000::1'],
]

test('[P4] public addresses are allowed, whatever is opened besides', () => {
  for (const allow of [false, true, parseCidrs('10.0.0.0/8')]) {
    for (const address of publicAddresses) expect(guardWith(allow).isAddressAllowed(address), address).toBe(true)
  }
})

test('[P4] private and loopback addresses need the switch', () => {
  for (const address of privateAddresses) {
    expect(guardWith(false).isAddressAllowed(address), address).toBe(false)
    expect(guardWith(true).isAddressAllowed(address), address).toBe(true)
  }
})

test.each(reservedAddresses)('[P4] %s (%s) is refused, and the switch does not open it', (_, address) => {
  expect(guardWith(false).isAddressAllowed(address)).toBe(false)
  expect(guardWith(true).isAddressAllowed(address)).toBe(false)
})

test('[P4] blocks open exactly what they contain', () => {
  const guard = guardWith(parseCidrs('10.1.0.0/16,::1,169.254.7.0/24'))
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '64:ff9b::a01:203', '::1', '169.254.7.1']) {
    expect(guard.isAddressAllowed(address), address).toBe(true)
  }
  for (const address of ['10.2.0.1', '127.0.0.1', '169.254.169.254', 'fd00::1']) {
    expect(guard.isAddressAllowed(address), address).toBe(false)
  }
})

test('[P4] what is no address is not allowed', () => {
  for (const text of ['', 'localhost', '127.1', '0x7f000001', '2130706433', '127.0.0.1:80', '[::1]', '1.2.3.4/8']) {
    expect(guardWith(true).isAddressAllowed(text), text).toBe(false)
  }
})

test.each([
  ['dotted', 'https://127.0.0.1/'],
  ['short', 'https://127.1/'],
  ['zero', 'https://0/'],
  ['hexadecimal', 'https://0x7f.1/'],
  ['one hexadecimal number', 'https://0x7f000001/'],
  ['one decimal number', 'https://2130706433/'],
  ['octal', 'https://0177.0.0.1/'],
  ['one octal number', 'https://017700000001/'],
  ['circled digits', 'https://①②⑦.0.0.1/'],
  ['ideographic dots', 'https://127。0。0。1/'],
  ['percent signs', 'https://%31%32%37.0.0.1/'],
  ['a dot at the end', 'https://127.0.0.1./'],
  ['backslashes', 'https:\\\\127.0.0.1\\'],
  ['IPv6', 'https://[::1]/'],
  ['IPv6 in full', 'https://[0:0:0:0:0:0:0:1]/'],
  ['IPv4-mapped, dotted', 'https://[::ffff:127.0.0.1]/'],
  ['IPv4-mapped, hexadecimal', 'https://[::ffff:7f00:1]/'],
  ['IPv4-mapped metadata', 'https://[::FFFF:a9fe:a9fe]/'],
  ['NAT64', 'https://[64:ff9b::7f00:1]/'],
  ['IPv4-compatible', 'https://[::127.0.0.1]/'],
])('[P4] a loopback or metadata literal is refused when written %s', async (_, url) => {
  await expect(guardWith(false).assertUrlAllowed(url)).rejects.toMatchObject({ kind: 'address' })
  expect(() => guardWith(false).parseAllowedUrl(url)).toThrow('leads to an address that is not allowed')
})

test.each([
  ['another scheme', 'ftp://provider.test/', 'must use https'],
  ['a script', 'javascript:alert(1)', 'must use https'],
  ['a file', 'file:///etc/passwd', 'must use https'],
  ['plain http', 'http://provider.test/', 'must use https'],
  ['a user', 'https://user@provider.test/', 'must not carry user information'],
  ['a password', 'https://:secret@provider.test/', 'must not carry user information'],
  ['a fragment', 'https://provider.test/#x', 'must not have a fragment'],
  ['an empty fragment', 'https://provider.test/#', 'must not have a fragment'],
  ['no URL', 'provider.test', 'is not a URL'],
])('[P4] %s is refused when saved', async (_, url, reason) => {
  const guard = guardWith(false, { 'provider.test': ['8.8.8.8'] })
  await expect(guard.assertUrlAllowed(url)).rejects.toMatchObject({ kind: 'address', message: reason })
})

test('[P4] a name is judged by all its addresses when saved', async () => {
  const guard = guardWith(false, {
    'good.test': ['8.8.8.8', '2606:4700::1111'],
    'inside.test': ['10.0.0.1'],
    'mixed.test': ['8.8.8.8', '169.254.169.254'],
    'localhost.': ['127.0.0.1'],
  })
  await expect(guard.assertUrlAllowed('https://good.test/token?x=1')).resolves.toBeUndefined()
  for (const host of ['inside.test', 'mixed.test', 'localhost.']) {
    await expect(guard.assertUrlAllowed(`https://${host}/`), host).rejects.toMatchObject({ kind: 'address' })
  }
})

test('[P4] a name that does not resolve yet is accepted when saved', async () => {
  await expect(guardWith(false).assertUrlAllowed('https://later.test/')).resolves.toBeUndefined()
})

test('[P4] plain http is for opened private addresses alone', async () => {
  const names = { 'inside.test': ['10.0.0.1'], 'outside.test': ['8.8.8.8'], 'both.test': ['10.0.0.1', '8.8.8.8'] }
  for (const allow of [true, parseCidrs('0.0.0.0/0')]) {
    const guard = guardWith(allow, names)
    for (const url of ['http://10.0.0.1/', 'http://inside.test/']) {
      await expect(guard.assertUrlAllowed(url), url).resolves.toBeUndefined()
    }
    for (const url of ['http://8.8.8.8/', 'http://outside.test/', 'http://both.test/']) {
      await expect(guard.assertUrlAllowed(url), url).rejects.toMatchObject({ kind: 'address' })
    }
  }
  await expect(guardWith(parseCidrs('127.0.0.0/8'), names).assertUrlAllowed('http://inside.test/')).rejects.toThrow(
    'must use https',
  )
})
