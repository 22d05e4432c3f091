import { expect, test } from 'vitest'
import { createRateLimiter, rateLimitKey } from './rate-limiter.ts'

function build(perMinute: number, start = 0) {
  let time = start
  const limiter = createRateLimiter({ perMinute, prefix: 'test', now: () => time })
  const allowed = async (key: string): Promise<boolean> => (await limiter.check(key)).allowed
  return { limiter, allowed, advance: (milliseconds: number) => void (time += milliseconds) }
}

test('so many per minute and key, and the next minute starts anew', async () => {
  const { limiter, allowed, advance } = build(3, 15_000)
  expect([await allowed('a'), await allowed('a'), await allowed('a'), await allowed('a')]).toEqual([
    true,
    true,
    true,
    false,
  ])
  expect(await allowed('b')).toBe(true)
  expect(await limiter.check('a')).toEqual({ allowed: false, retryAfterSeconds: 45 })
  advance(44_999)
  expect(await limiter.check('a')).toEqual({ allowed: false, retryAfterSeconds: 1 })
  advance(1)
  expect(await allowed('a')).toBe(true)
})

test('a look counts nothing, and says what the next request would hear', async () => {
  const { limiter, allowed, advance } = build(2, 15_000)
  for (let look = 0; look < 10; look++) expect(await limiter.peek('a')).toEqual({ allowed: true })
  expect([await allowed('a'), await allowed('a')]).toEqual([true, true])
  expect(await limiter.peek('a')).toEqual({ allowed: false, retryAfterSeconds: 45 })
  expect(await limiter.peek('b')).toEqual({ allowed: true })
  advance(45_000)
  expect(await limiter.peek('a')).toEqual({ allowed: true })
})

test('0 is no limit', async () => {
  const { limiter, allowed } = build(0)
  for (let count = 0; count < 1_000; count++) expect(await allowed('a')).toBe(true)
  expect(await limiter.peek('a')).toEqual({ allowed: true })
})

test('a flood of keys is forgotten from its oldest end and never grows without bound', async () => {
  const { allowed } = build(1)
  expect(await allowed('first')).toBe(true)
  expect(await allowed('first')).toBe(false)
  for (let index = 0; index < 20_000; index++) await allowed(`key-${index}`)
  expect(await allowed('first')).toBe(true)
  expect(await allowed('key-19999')).toBe(false)
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::9', '2001:db8:1:2'],
  ['2001:db8::9', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['1::', '1:0:0:0'],
  ['1:2:3:4:5:6:7::', '1:2:3:4'],
  ['', ''],
])('%s is limited as %s', (address, key) => {
  expect(rateLimitKey(address)).toBe(key)
})

test('all addresses of one IPv6 network share one key', () => {
  expect(rateLimitKey('2001:db8:0:1::1')).toBe(rateLimitKey('2001:db8:0:1:ffff::2'))
})
