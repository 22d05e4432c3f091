import { expect, test } from 'vitest'
import { readIdentity } from './agent-identity.ts'

const keyId = '0198a1b2-0000-7000-8000-0000000000a1'

test.each([
  [
    `key_id=${keyId}; tier=authenticated; owner=alice; zone=eng`,
    { keyId, tier: 'authenticated', owner: 'alice', zone: 'eng' },
  ],
  [
    `key_id=${keyId}; tier=admin; owner=Zo%C3%AB%3B%20zone%3Dops`,
    { keyId, tier: 'admin', owner: 'Zoë; zone=ops', zone: undefined },
  ],
  [`key_id=${keyId}; tier=admin; owner=`, { keyId, tier: 'admin', owner: '', zone: undefined }],
  [`key_id=${keyId}; tier=admin; owner=%C3`, { keyId, tier: 'admin', owner: undefined, zone: undefined }],
  [`key_id=${keyId}; tier=admin`, { keyId, tier: 'admin', owner: undefined, zone: undefined }],
])('reads %s', (header, identity) => {
  expect(readIdentity(header)).toEqual(identity)
})

test.each([
  undefined,
  '',
  'key_id=1; tier=admin; owner=a',
  `key_id=${keyId}; tier=root; owner=a`,
  `key_id=${keyId}; tier=admin; owner=a; zone=Not A Zone`,
  `key_id=${keyId}; tier=admin; owner=a; zone=eng; more=b`,
  `key_id=${keyId}; tier=admin; owner=a, key_id=${keyId}; tier=admin; owner=b`,
  [`key_id=${keyId}; tier=admin; owner=a`, `key_id=${keyId}; tier=admin; owner=b`],
])('%j is nobody', (header) => {
  expect(readIdentity(header)).toBeUndefined()
})
