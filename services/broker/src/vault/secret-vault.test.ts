import { randomBytes } from 'node:crypto'
import { type SealContext, createKeyring, createVault } from '@nexus/crypto'
import { expect, test } from 'vitest'
import { createSecretVault } from './secret-vault.ts'

const context: SealContext = { purpose: 'token', recordId: '019ab000-0000-7000-8000-000000000001', version: 3 }

function openVault(keyring = createKeyring({ primary: randomBytes(32) })) {
  const failures: SealContext[] = []
  return { failures, vault: createSecretVault(createVault(keyring), (failed) => void failures.push(failed)) }
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

test('what was sealed opens again, with the id of its key beside it', () => {
  const { vault, failures } = openVault()
  const { sealed, keyId } = vault.seal('geheim ü', context)
  expect(keyId).toEqual(sealed.subarray(1, 5))
  expect(vault.open(sealed, context, keyId)).toBe('geheim ü')
  expect(vault.open(sealed, context)).toBe('geheim ü')
  expect(failures).toEqual([])
})

test('[V1] any flipped byte is vault_integrity, told once with its place', () => {
  const { vault, failures } = openVault()
  const { sealed, keyId } = vault.seal('geheim', context)
  for (let at = 0; at < sealed.length; at++) {
    expect(() => vault.open(flipped(sealed, at), context, keyId), `byte ${at}`).toThrow(
      expect.objectContaining({ code: 'vault_integrity' }),
    )
  }
  expect(failures).toHaveLength(sealed.length)
  expect(failures[0]).toEqual(context)
})

test('[V1] another record, version or purpose does not open', () => {
  const { vault } = openVault()
  const { sealed, keyId } = vault.seal('geheim', context)
  const others: SealContext[] = [
    { ...context, recordId: '019ab000-0000-7000-8000-000000000002' },
    { ...context, version: 4 },
    { ...context, purpose: 'client-secret' },
  ]
  for (const other of others) {
    expect(() => vault.open(sealed, other, keyId)).toThrow(expect.objectContaining({ code: 'vault_integrity' }))
  }
})

test('a key that is not configured is key_unavailable, and no integrity failure', () => {
  const { sealed, keyId } = openVault().vault.seal('geheim', context)
  const { vault, failures } = openVault()
  expect(() => vault.open(sealed, context, keyId)).toThrow(expect.objectContaining({ code: 'key_unavailable' }))
  expect(failures).toEqual([])
})
