import { expect, test } from 'vitest'
import { parseExpiry } from './parse-expiry.ts'
import { matchZones, parseGrant, parseGrants } from './parse-grants.ts'

test('zones are apart by commas, trimmed, and have rw unless they say otherwise', () => {
  expect(parseGrants(' eng ,ops:r,, legal : rwx ,shop:c')).toEqual([
    { zone: 'eng', permissions: 'rw' },
    { zone: 'ops', permissions: 'r' },
    { zone: 'legal', permissions: 'rwx' },
    { zone: 'shop', permissions: 'c' },
  ])
})

test('permissions are read in any order, and x brings r and w along', () => {
  expect(parseGrant('eng:wr').permissions).toBe('rw')
  expect(parseGrant('eng:cx').permissions).toBe('rwxc')
})

test.each(['', ' , ', 'Eng', 'eng ops', 'eng:', 'eng:q', 'eng:rr', 'eng:r:w', ':rw', 'a'.repeat(65), 'eng\n:rw\u001b'])(
  '%j names no zones, and is called wrongly',
  (csv) => {
    expect(() => parseGrants(csv)).toThrow(expect.objectContaining({ name: 'UsageError', exitCode: 2 }))
  },
)

test.each([
  ['team-*', ['team-a', 'team-b', 'team-blue']],
  ['team-?', ['team-a', 'team-b']],
  ['team-[b-z]', ['team-b']],
  ['team-[!b]', ['team-a']],
  ['*', ['ops', 'team-a', 'team-b', 'team-blue']],
  ['team', []],
  ['team.a', []],
  ['(team-a|ops)', []],
  ['team-[]', []],
])('the pattern %s means %j, sorted', (pattern, matching) => {
  expect(matchZones(pattern, ['team-blue', 'team-b', 'ops', 'team-a'])).toEqual(matching)
})

test('a pattern that is none is called wrongly, and a long one takes no time', () => {
  expect(() => matchZones('[z-a]', ['a'])).toThrow(expect.objectContaining({ name: 'UsageError' }))
  expect(matchZones(`${'*'.repeat(60)}!`, ['a'.repeat(64)])).toEqual([])
})

test('a token ends after days, hours or minutes', () => {
  expect(['90d', '24h', '30m', '3650d'].map(parseExpiry)).toEqual([7_776_000, 86_400, 1_800, 315_360_000])
  for (const wrong of ['', '90', 'd', '1s', '1w', '-1d', '1.5h', ' 1d', '0d', '3651d', '1d1h', '９d']) {
    expect(() => parseExpiry(wrong), wrong).toThrow(expect.objectContaining({ name: 'UsageError' }))
  }
})
