// Freezes what is on disk and on the wire. A change that turns one of these red makes stored secrets unreadable.
import { createHmac, webcrypto } from 'node:crypto'
import { expect, test } from 'vitest'
import { createKeyring, deriveKeyId } from './keyring.ts'
import type { SealContext } from './seal-context.ts'
import { createStateSigner } from './signed-state.ts'
import { createVault } from './vault.ts'

const master = Buffer.from('603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4', 'hex')
const nonce = Buffer.from('cafebabefacedbaddecaf888', 'hex')
const recordId = '0199f3a2-7c00-7000-8000-000000000001'
const vault = createVault(createKeyring({ primary: master }), { randomBytes: () => nonce })

test('an envelope is, byte for byte, the one that another implementation made (Python, cryptography 48)', () => {
  const envelope = vault.seal('{"access_token":"at-1"}', { purpose: 'token', recordId, version: 7 })
  expect(envelope.toString('hex')).toBe(
    '01ed81ca71cafebabefacedbaddecaf888' +
      '33155c06e653f2a782a0db26fdb58a2359b3d492f3f19c' +
      '36e429d5fd54d3c2341143e7aa58e05f',
  )
})

function part(text: string): number[] {
  const bytes = Buffer.from(text)
  return [0, 0, 0, bytes.length, ...bytes]
}

test('an envelope can be made in plain steps from the description in the README', async () => {
  const context: SealContext = { purpose: 'client-secret', recordId: 'idé', version: 4_294_967_296 }
  const plaintext = Buffer.from('GOCSPX-secret')

  const bits = async (info: number[], length: number) => {
    const key = await webcrypto.subtle.importKey('raw', master, 'HKDF', false, ['deriveBits'])
    const parameters = { name: 'HKDF', hash: 'SHA-256', salt: Buffer.alloc(0), info: Buffer.from(info) }
    return Buffer.from(await webcrypto.subtle.deriveBits(parameters, key, length))
  }
  const recordKey = await bits([...part('client-secret'), ...part('idé')], 256)
  const keyId = await bits([...Buffer.from('key id')], 32)
  const aad = Buffer.from([...part('nexus:1'), ...part('client-secret'), ...part('idé'), ...part('4294967296')])
  const aesKey = await webcrypto.subtle.importKey('raw', recordKey, 'AES-GCM', false, ['encrypt'])
  const parameters = { name: 'AES-GCM', iv: nonce, additionalData: aad, tagLength: 128 }
  const sealed = Buffer.from(await webcrypto.subtle.encrypt(parameters, aesKey, plaintext))
  const envelope = Buffer.concat([Buffer.of(1), keyId, nonce, sealed])

  expect(vault.seal(plaintext, context)).toEqual(envelope)
  expect(vault.open(envelope, context)).toEqual(plaintext)
  expect(deriveKeyId(master)).toBe(keyId.toString('hex'))
})

test('[H1] a state is, character for character, the one that another implementation made (Python)', () => {
  const jti = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('base64url')
  const state = createStateSigner({ key: master }).sign({
    purpose: 'oauth',
    connectionId: recordId,
    jti,
    issuedAt: 1_800_000_000,
  })
  expect(state).toBe(
    'eyJ2IjoxLCJraWQiOiJlM2RlYjc5YSIsInB1cnBvc2UiOiJvYXV0aCIsImNvbm5lY3Rpb25faWQiOiIwMTk5ZjNhMi03YzAwLTcwMDAtODAwMC0' +
      'wMDAwMDAwMDAwMDEiLCJqdGkiOiJBQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJFaE1VRlJZWEdCa2FHeHdkSGg4IiwiaWF0IjoxODAwMDAwMDAwfQ' +
      '.phPPU9iIYKC2ZyDbvRZr9Thz_s73xzxhbsnhTbaquY4',
  )
  const [payload = '', mac = ''] = state.split('.').map((text) => Buffer.from(text, 'base64url'))
  expect(JSON.parse(payload.toString())).toEqual({
    v: 1,
    kid: 'e3deb79a',
    purpose: 'oauth',
    connection_id: recordId,
    jti,
    iat: 1_800_000_000,
  })
  expect(mac).toEqual(createHmac('sha256', master).update(payload).digest())
})
