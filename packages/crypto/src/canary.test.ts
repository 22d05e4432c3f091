import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { checkCanary, sealCanary } from './canary.ts'
import { readKeyId } from './envelope.ts'
import { UnknownKeyError } from './errors.ts'
import { createKeyring, deriveKeyId } from './keyring.ts'
import { createVault } from './vault.ts'

const keyNamed = (name: string) => createHash('sha256').update(name).digest()
const keyring = createKeyring({ primary: keyNamed('primary'), extra: [keyNamed('coming')] })
const comingId = deriveKeyId(keyNamed('coming'))

test('[V2] a canary opens with the key that sealed it, primary or not', () => {
  for (const keyId of keyring.ids) {
    const canary = sealCanary(keyring, keyId)
    expect(readKeyId(canary)).toBe(keyId)
    expect(checkCanary(keyring, keyId, canary)).toBe(true)
  }
  expect(readKeyId(sealCanary(keyring))).toBe(keyring.primaryId)
  expect(checkCanary(createKeyring({ primary: keyNamed('coming') }), comingId, sealCanary(keyring, comingId))).toBe(
    true,
  )
})

test('[V2] a wrong key that shares the id is found out', () => {
  const [right, wrong] = [keyNamed('nexus collision 38349'), keyNamed('nexus collision 52309')]
  const canary = sealCanary(createKeyring({ primary: right }))
  expect(checkCanary(createKeyring({ primary: right }), deriveKeyId(right), canary)).toBe(true)
  expect(checkCanary(createKeyring({ primary: wrong }), deriveKeyId(right), canary)).toBe(false)
})

test('[V2] a canary that was changed, cut, or belongs to another key is no proof', () => {
  const canary = sealCanary(keyring)
  const changed = Buffer.from(canary)
  changed[30] = (changed[30] ?? 0) ^ 1
  for (const wrong of [changed, canary.subarray(1), Buffer.alloc(0), sealCanary(keyring, comingId)]) {
    expect(checkCanary(keyring, keyring.primaryId, wrong)).toBe(false)
  }
  const context = { purpose: 'key-canary', recordId: keyring.primaryId, version: 1 } as const
  const otherText = createVault(keyring).seal('another text', context)
  expect(checkCanary(keyring, keyring.primaryId, otherText)).toBe(false)
  const underAnotherKey = createVault(keyring).seal('nexus key canary', { ...context, recordId: comingId })
  expect(checkCanary(keyring, comingId, underAnotherKey), 'proves the primary, not the key it is filed under').toBe(
    false,
  )
})

test('[V2] a missing key is told apart from a wrong one', () => {
  const canary = sealCanary(keyring, comingId)
  const without = createKeyring({ primary: keyNamed('primary') })
  expect(() => checkCanary(without, comingId, canary)).toThrow(UnknownKeyError)
  expect(() => sealCanary(without, comingId)).toThrow(UnknownKeyError)
})
