import { expect, test } from 'vitest'
import { adviseKeys } from './advise-keys.ts'
import type { KeyStatus } from './key-status.ts'

const day = (n: number): Date => new Date(Date.UTC(2026, 10, n))

const key = (id: string, role: KeyStatus['role'], more: Partial<KeyStatus> = {}): KeyStatus => ({
  id,
  role,
  registeredAt: day(1),
  retiredAt: null,
  rows: {},
  ...more,
})

test.each<[string, readonly KeyStatus[], readonly RegExp[]]>([
  ['one key that seals all', [key('aa', 'seals', { rows: { token: 5 } })], [/^Nothing is to be done/]],
  [
    'a new key that is everywhere and not registered',
    [key('aa', 'seals'), key('bb', 'opens', { registeredAt: null })],
    [/bb is not registered.*nexus-broker keys add/],
  ],
  [
    'a new key that may seal',
    [key('aa', 'seals', { rows: { token: 5 } }), key('bb', 'opens', { registeredAt: day(2) })],
    [/bb may seal: make it ENCRYPTION_KEY, and keep aa/],
  ],
  [
    'a new key that seals, with rows of the old one',
    [
      key('bb', 'seals', { registeredAt: day(2), rows: { token: 1 } }),
      key('aa', 'opens', { rows: { token: 4, 'client-secret': 1 } }),
    ],
    [/^5 rows still need another key.*every Broker has bb.*nexus-broker keys rotate/],
  ],
  [
    'an old key that no row needs and nobody retired',
    [key('bb', 'seals', { registeredAt: day(2) }), key('aa', 'opens')],
    [/No row needs aa any more.*nexus-broker keys rotate/],
  ],
  [
    'a retired key that is still configured',
    [key('bb', 'seals', { registeredAt: day(2) }), key('aa', 'opens', { retiredAt: day(3) })],
    [/No row needs aa any more.*SPOOL_DIR is empty, take it out of ENCRYPTION_KEYS_EXTRA/],
  ],
  [
    'a retired key that a left-behind Broker sealed with',
    [key('bb', 'seals', { registeredAt: day(2) }), key('aa', 'opens', { retiredAt: day(3), rows: { token: 2 } })],
    [/^2 rows still need another key.*nexus-broker keys rotate/],
  ],
  [
    'rows whose key is gone',
    [
      key('bb', 'seals', { registeredAt: day(2) }),
      key('aa', 'not_configured', { retiredAt: day(3), rows: { token: 2, revocation: 1 } }),
    ],
    [/^1 revocations owed, 2 tokens need the key aa, which is not configured.*ENCRYPTION_KEYS_EXTRA/],
  ],
  [
    'a registered key that is lost',
    [key('aa', 'seals'), key('bb', 'not_configured', { registeredAt: day(2) })],
    [/bb is registered and not configured.*nexus-broker keys retire bb/],
  ],
  [
    'a key in ENCRYPTION_KEY that nobody registered',
    [key('cc', 'seals', { registeredAt: null }), key('aa', 'opens', { rows: { token: 2 } })],
    [/ENCRYPTION_KEY \(cc\) is not registered.*nexus-broker keys add/],
  ],
  [
    'a retired key in ENCRYPTION_KEY',
    [key('aa', 'seals', { retiredAt: day(3) }), key('bb', 'opens', { registeredAt: day(2) })],
    [/ENCRYPTION_KEY \(aa\) is retired/, /bb may seal: make it ENCRYPTION_KEY/],
  ],
])('%s: the next step is told', (_what, keys, expected) => {
  const advice = adviseKeys(keys)
  expect(advice).toEqual(expected.map((pattern) => expect.stringMatching(pattern)))
})
